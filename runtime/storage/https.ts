/**
 * Fetches an `https` input without letting its sender reach behind the firewall: hosts from an allow-list,
 * every resolved address public, the connection pinned to one that was checked, redirects checked again.
 */
import { lookup } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { asError, Rejection, Retryable, TaskFailure } from '../errors.ts';
import { capText, redactText, redactUrl, shorten } from '../redact.ts';
import { isPublicAddress } from './address.ts';
import { allowedUrl, type HostRule, parseHostRules } from './https-policy.ts';
import { type ReadOptions, tooLarge } from './storage.ts';

const MAX_REDIRECTS = 3;
const TOTAL_TIMEOUT_MS = 30_000;
const REDIRECTS = [301, 302, 303, 307, 308];
/** The 4xx that are worth another try. */
const TRANSIENT = [408, 421, 425, 429];

export interface HttpsOptions {
  /** INPUT_HTTPS: whether `https` inputs are fetched at all. */
  enabled: boolean;
  /** INPUT_HTTPS_HOSTS; see {@link parseHostRules}. An empty list allows none. */
  hosts: string[];
  /** For everything, redirects and body included, milliseconds; default 30 000. */
  timeoutMs?: number;
  /** All addresses of a host; default: the system's resolver. */
  resolve?: (host: string) => Promise<string[]>;
  /** Default: {@link isPublicAddress}. */
  isAllowedAddress?: (address: string) => boolean;
  /** PEM certificates to trust instead of Node's own. */
  ca?: string;
}

export type HttpsReader = (url: string, options?: ReadOptions) => Promise<Buffer>;

/** @throws {UserError} when a host rule cannot be read */
export function httpsReader(options: HttpsOptions): HttpsReader {
  const rules = parseHostRules(options.hosts);
  return async (url, { maxBytes = Number.POSITIVE_INFINITY, signal } = {}) => {
    const deadline = AbortSignal.timeout(options.timeoutMs ?? TOTAL_TIMEOUT_MS);
    const stop = signal ? AbortSignal.any([signal, deadline]) : deadline;
    try {
      return await fetchFollowing(url, rules, options, maxBytes, stop);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof TaskFailure) throw error;
      const why = deadline.aborted ? 'it took too long' : redactText(asError(error).message);
      throw new Retryable(`The input ${shorten(redactUrl(url))} could not be fetched: ${why}.`, {
        failureType: 'network',
        cause: error,
      });
    }
  };
}

async function fetchFollowing(
  first: string,
  rules: HostRule[],
  options: HttpsOptions,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  let text = first;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const url = allowedUrl(text, rules);
    const addresses = await checkedAddresses(url, options, signal);
    const response = await get(url, addresses, options.ca, signal);
    const status = response.statusCode ?? 0;
    if (!REDIRECTS.includes(status)) return await bodyOf(response, url, maxBytes);
    response.destroy();
    text = redirectTarget(response, url);
  }
  throw forbidden(first, `it was redirected more than ${MAX_REDIRECTS} times`);
}

/** Resolves once. The connection goes to an address found here, so a later answer of the DNS changes nothing. */
async function checkedAddresses(url: URL, options: HttpsOptions, signal: AbortSignal): Promise<string[]> {
  const { resolve = systemResolve, isAllowedAddress = isPublicAddress } = options;
  const host = hostOf(url);
  const addresses = isIP(host) ? [host] : await orAborted(resolve(host), signal);
  if (addresses.length === 0) throw new Error(`${host} has no address`);
  const bad = addresses.find((address) => !isAllowedAddress(address));
  if (bad !== undefined) throw forbidden(url.href, `${host} is at ${bad}, which is not a public address`);
  return addresses;
}

async function systemResolve(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function get(
  url: URL,
  addresses: string[],
  ca: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const host = hostOf(url);
  const call = request({
    host,
    // An address is not a server name (RFC 6066), and Node would refuse it.
    servername: isIP(host) ? '' : host,
    port: url.port || 443,
    path: url.pathname + url.search,
    // A new agent: no open connection that was never checked, no proxy from the environment, no cookies.
    agent: new Agent({ keepAlive: false }),
    lookup: pinnedTo(addresses),
    ca,
    headers: { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'darkroom' },
    signal,
  });
  call.once('response', (response) => {
    // The pin holds by construction; this makes sure of it.
    const remote = response.socket.remoteAddress ?? '';
    if (addresses.some((address) => sameAddress(address, remote))) return resolve(response);
    call.destroy();
    reject(forbidden(url.href, `the connection went to ${remote} instead of a checked address`));
  });
  call.on('error', reject);
  call.end();
  return await promise;
}

function pinnedTo(addresses: string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, callback) => {
    if (options.all) callback(null, found);
    else callback(null, found[0]!.address, found[0]!.family);
  };
}

/** Equal addresses however they are written, an IPv4 one also where the socket shows it as mapped IPv6. */
function sameAddress(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

function canonical(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(plain) === 6 ? new URL(`https://[${plain}]`).hostname : plain;
}

async function bodyOf(response: IncomingMessage, url: URL, maxBytes: number): Promise<Buffer> {
  try {
    assertUsable(response, url, maxBytes);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(redactUrl(url), 'more bytes than allowed', maxBytes);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, bytes);
  } finally {
    response.destroy();
  }
}

function assertUsable(response: IncomingMessage, url: URL, maxBytes: number): void {
  const status = response.statusCode ?? 0;
  if (status >= 500 || TRANSIENT.includes(status)) throw new Error(`the server answered ${status}`);
  if (status === 401 || status === 403) throw forbidden(url.href, `the server answered ${status}`);
  if (status !== 200) {
    throw new Rejection(
      `The input ${shorten(redactUrl(url))} is not there: the server answered ${status}, expected 200.`,
      {
        failureType: 'input-not-found',
      },
    );
  }
  const encoding = response.headers['content-encoding'] ?? 'identity';
  // Nothing is unpacked here, so that a small answer cannot become a huge one.
  if (encoding !== 'identity')
    throw forbidden(url.href, `the server packed it (content-encoding ${capText(encoding, 40)})`);
  const length = Number(response.headers['content-length'] ?? 0);
  if (length > maxBytes) throw tooLarge(redactUrl(url), `${length} bytes`, maxBytes);
}

function redirectTarget(response: IncomingMessage, url: URL): string {
  const target = response.headers.location ?? '';
  if (target === '' || !URL.canParse(target, url.href))
    throw forbidden(url.href, 'the server redirects to something that is not a URL');
  return new URL(target, url).href;
}

/** The host without the brackets of an IPv6 address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function forbidden(url: string, why: string): Rejection {
  return new Rejection(`The input ${shorten(redactUrl(url))} is not fetched: ${why}.`, {
    failureType: 'input-forbidden',
  });
}
