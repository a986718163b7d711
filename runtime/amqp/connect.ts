/** Makes one attempt at an AMQP connection: reads secrets and certificates anew, and explains a failure. */

import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { type ChannelModel, connect, credentials, type SocketOptions } from 'amqplib';
import { asError } from '../errors.ts';
import { guardHandshakes } from './amqplib-internals.ts';
import { askAuthenticatedUser } from './authenticated-user.ts';
import { readLogin, readTlsSecrets } from './connection-files.ts';
import type { BrokerOptions } from './types.ts';

export interface AmqpConnection {
  readonly model: ChannelModel;
  /** As whom the broker lets us in; undefined when it does not say. */
  readonly user: string | undefined;
  /** Drops the socket at once, without AMQP's close handshake. */
  destroy(): void;
}

/** Rejects with an explanation, after `connectTimeoutMs` at the latest, however slowly the other side answers. */
export async function openConnection(options: BrokerOptions, closing: AbortSignal): Promise<AmqpConnection> {
  const place = placeOf(options.url);
  const attempt = new AbortController();
  const signal = AbortSignal.any([attempt.signal, closing]);
  const tooSlow = new Error(`no answer within ${options.connectTimeoutMs} ms`);
  const timer = setTimeout(() => attempt.abort(tooSlow), options.connectTimeoutMs);
  try {
    const opening = openModel(options, attempt.signal);
    // An attempt that is given up may still succeed later: its socket is destroyed by the signal.
    opening.catch(() => {});
    const opened = await Promise.race([opening, whenAborted(signal)]);
    return { ...opened, destroy: () => attempt.abort(new Error('dropped')) };
  } catch (error) {
    attempt.abort(error);
    const reason = asError(signal.aborted ? signal.reason : error);
    throw new Error(`${place}: ${explainConnectError(reason, options)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** `host:port, vhost name`, for logs and errors: an AMQP URL without its credentials. */
export function placeOf(url: string): string {
  const { hostname, port, vhost } = parse(url);
  return `RabbitMQ at ${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}, vhost ${vhost || '/'}`;
}

async function openModel(
  options: BrokerOptions,
  signal: AbortSignal,
): Promise<Omit<AmqpConnection, 'destroy'>> {
  const { secure, hostname, port, vhost, ...fromUrl } = parse(options.url);
  const fromFiles = await readLogin(options);
  const username = fromFiles.username ?? fromUrl.username;
  const password = fromFiles.password ?? fromUrl.password;
  const socketOptions: SocketOptions & { signal?: AbortSignal } = {
    noDelay: true,
    credentials: options.auth === 'external' ? credentials.external() : credentials.plain(username, password),
    clientProperties: { connection_name: options.name },
  };
  if (secure) {
    const servername = isIP(hostname) === 0 ? { servername: hostname } : {};
    Object.assign(socketOptions, await readTlsSecrets(options), servername);
    // TLS takes no signal, but it takes a socket that is connected already, and that the signal can destroy.
    socketOptions.socket = await connected(connectSocket({ host: hostname, port, noDelay: true, signal }));
  } else {
    socketOptions.signal = signal;
  }
  const heartbeat = Math.max(1, Math.ceil(options.heartbeatMs / 1000));
  guardHandshakes();
  const encodedVhost = encodeURIComponent(vhost);
  const model = await connect(
    { protocol: secure ? 'amqps' : 'amqp', hostname, port, vhost: encodedVhost, heartbeat },
    socketOptions,
  );
  return { model, user: options.auth === 'external' ? await askAuthenticatedUser(model) : username };
}

function parse(text: string) {
  const url = new URL(text);
  const secure = url.protocol === 'amqps:';
  const named = url.username !== '' || url.password !== '';
  return {
    secure,
    hostname: url.hostname.replace(/^\[|\]$/g, '') || 'localhost',
    port: Number(url.port) || (secure ? 5671 : 5672),
    vhost: decodeURIComponent(url.pathname.slice(1)),
    username: named ? decodeURIComponent(url.username) : 'guest',
    password: named ? decodeURIComponent(url.password) : 'guest',
  };
}

function connected(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    // Stays on the socket: after connecting, TLS reports errors.
    socket.on('error', reject);
  });
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** What a failure means to the operator, by its error code or by amqplib's text. */
function explainConnectError(error: Error & { code?: unknown }, options: BrokerOptions): string {
  const text = error instanceof AggregateError ? asError(error.errors[0]).message : error.message;
  const code = String(error.code ?? '');
  if (/ACCESS[-_]REFUSED/.test(text)) {
    return options.auth === 'external'
      ? `refused the client certificate as a login (AMQP_AUTH=external): ${text}`
      : `refused the user name or password: ${text}`;
  }
  // amqplib reports a refused vhost as the answer that it did not get.
  if (/NOT[-_]ALLOWED|Expected ConnectionOpenOk/.test(text))
    return 'the vhost does not exist, or this user may not use it';
  if (code === 'ECONNREFUSED') return 'nothing listens there (connection refused)';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the host name cannot be resolved (${code})`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for another host name: ${text}`;
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return `its TLS certificate is not trusted (${code}); AMQP_CA_FILE names the authority to trust: ${text}`;
  }
  if (/closed abruptly|ECONNRESET|EPIPE/.test(`${text} ${code}`)) {
    return `closed the connection while it was being set up (${text})`;
  }
  return text;
}
