/** `darkroom rights`: which rights on the broker each role needs, and no more, as commands to paste. */
import { Argument, Command } from 'commander';
import { readConfig } from '../../config.ts';
import { ROLES, type Role, rightsOf } from '../broker-rights.ts';
import { conventional } from '../option-values.ts';
import { dim, escapeControls, print, printJson } from '../terminal.ts';

export function rightsCommand(): Command {
  const command = new Command('rights')
    .description(
      'Prints the least rights on RabbitMQ for users that publish tasks, work on them, administer the installation or monitor it, as rabbitmqctl commands to paste. They fit DARKROOM_PREFIX and the vhost of AMQP_URL; nothing is connected to.',
    )
    .addArgument(new Argument('[role...]', 'only these').choices(ROLES))
    .action((roles: Role[], options: { json?: boolean }) => printRights(roles, options.json === true));
  return conventional(command, 'darkroom rights publisher');
}

function printRights(chosen: Role[], json: boolean): void {
  const { prefix, amqp } = readConfig();
  const rights = rightsOf(prefix);
  const vhost = vhostOf(amqp.url);
  const roles = (chosen.length === 0 ? ROLES : chosen).map((role) => {
    return { role, user: `${prefix}-${role}`, vhost, ...rights[role] };
  });
  if (json) return printJson(roles);
  print(dim('# add_user asks for a password.'));
  for (const { role, user, does, tags, configure, write, read } of roles) {
    print(dim(`\n# ${role}: ${does}`));
    print(`rabbitmqctl add_user ${user}`);
    if (tags.length > 0) print(`rabbitmqctl set_user_tags ${user} ${tags.join(' ')}`);
    const patterns = [configure, write, read].map(shellQuoted).join(' ');
    print(`rabbitmqctl set_permissions -p ${shellQuoted(vhost)} ${user} ${patterns}`);
  }
  if (roles.some(({ role }) => role === 'admin'))
    print(
      dim(
        `\n# So that workers believe what ${prefix}-admin replays, set TRUSTED_USERS=${prefix}-admin for them.`,
      ),
    );
}

function vhostOf(amqpUrl: string): string {
  const path = new URL(amqpUrl).pathname.slice(1);
  try {
    return decodeURIComponent(path) || '/';
  } catch {
    return path;
  }
}

/** As a POSIX shell takes it for one word that means itself. */
function shellQuoted(text: string): string {
  return `'${escapeControls(text).replaceAll("'", "'\\''")}'`;
}
