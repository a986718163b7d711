/** The folder of a private RabbitMQ node: its configuration, its data and nothing of the machine's own node. */
import { access, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { FRESH_COUNTS, type NodeOptions, tlsConfig } from './rabbitmq-node.ts';

/** Where a node listens, on loopback. */
export interface DebianPorts {
  amqp: number;
  amqps: number;
  management: number;
  distribution: number;
  epmd: number;
}

/** Writes the node's files and gives the environment that makes RabbitMQ read these and no others. */
export async function prepareFolder(
  folder: string,
  server: string,
  ports: DebianPorts,
  options: NodeOptions,
): Promise<NodeJS.ProcessEnv> {
  const config = `listeners.tcp.1 = 127.0.0.1:${ports.amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${ports.management}
log.console = true
log.file = false
${FRESH_COUNTS.config}
${options.tlsFolder === undefined ? '' : tlsConfig(`127.0.0.1:${ports.amqps}`, options.tlsFolder)}
${options.config ?? ''}
`;
  const plugins = ['rabbitmq_management', ...(options.plugins ?? [])];
  await mkdir(join(folder, 'plugins'));
  await writeFile(join(folder, 'rabbitmq.conf'), config);
  await writeFile(join(folder, 'advanced.config'), FRESH_COUNTS.advanced);
  await writeFile(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`);
  await writeFile(join(folder, '.erlang.cookie'), folder.slice(-6).padStart(20, 'x'), { mode: 0o400 });
  const pluginsFolder = await leanPlugins(server, folder, plugins);
  const name = `darkroom-${ports.amqp}@localhost`;
  return {
    PATH: `${dirname(server)}${delimiter}${process.env.PATH ?? ''}${delimiter}/usr/sbin`,
    LANG: 'C.UTF-8',
    HOME: folder,
    RABBITMQ_NODENAME: name,
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'logs'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: join(folder, 'conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP: join(folder, 'erl_crash.dump'),
    ...(pluginsFolder === undefined ? {} : { RABBITMQ_PLUGINS_DIR: pluginsFolder }),
    // Named from the start, the node skips an Erlang process that only looks for epmd. Idle schedulers sleep
    // instead of spinning, which leaves the cores to the images.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-sname ${name} -start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none`,
  };
}

/**
 * A folder of links to RabbitMQ's libraries and only the wanted plugins: Erlang looks for each module in every
 * folder of its path, and starts seconds sooner with half of them. Undefined (use the default) where the layout
 * differs.
 */
async function leanPlugins(server: string, folder: string, wanted: string[]): Promise<string | undefined> {
  const all = join(dirname(server), '..', 'plugins');
  try {
    await access(all);
    const keep = [...wanted, 'rabbitmq_management_agent', 'rabbitmq_web_dispatch', 'rabbitmq_prelaunch'];
    for (const entry of await readdir(all)) {
      const optional = entry.startsWith('rabbitmq_') && !keep.some((name) => entry.startsWith(`${name}-`));
      if (!optional) await symlink(join(all, entry), join(folder, 'plugins', entry));
    }
    return join(folder, 'plugins');
  } catch {
    return undefined;
  }
}
