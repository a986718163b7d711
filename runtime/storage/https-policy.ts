/** Which `https` URLs an operator allows: INPUT_HTTPS_HOSTS as rules, and the check of a URL against them. */
import { Rejection, UserError } from '../errors.ts';
import { redactUrl, shorten } from '../redact.ts';

const HTTPS_PORT = 443;

export interface HostRule {
  /** Lower-case, punycode; without the `*.` of a wildcard. '' with `subdomains`: any host. */
  host: string;
  /** The rule is for every host below `host`, not for `host` itself. */
  subdomains: boolean;
  port: number;
}

/** What a host rule may be; the port is 443 where none is given, and `*` is any host. */
export const HOST_RULE_FORMS = 'example.com, *.example.com or example.com:8443';

/**
 * Reads host rules: {@link HOST_RULE_FORMS}, or `*` for any host.
 * @throws {UserError} when one cannot be read
 */
export function parseHostRules(hosts: string[]): HostRule[] {
  return hosts.map((text) => {
    const rule = parseHostRule(text);
    if (rule === undefined)
      throw new UserError(`INPUT_HTTPS_HOSTS has "${text}": expected ${HOST_RULE_FORMS}.`);
    return rule;
  });
}

/** undefined when the text is not a host rule. */
export function parseHostRule(text: string): HostRule | undefined {
  if (text === '*') return { host: '', subdomains: true, port: HTTPS_PORT };
  const subdomains = text.startsWith('*.');
  const url = tryParse(`https://${subdomains ? text.slice(2) : text}`);
  if (!url || url.href !== `${url.origin}/` || url.hostname.includes('*') || /[/?#@\s]/.test(text))
    return undefined;
  return { host: withoutDot(url.hostname), subdomains, port: portOf(url) };
}

/**
 * The URL to fetch, if the rules allow it.
 * @throws {Rejection} `input-forbidden`
 */
export function allowedUrl(text: string, rules: HostRule[]): URL {
  const refuse = (why: string): never => {
    throw new Rejection(`The input ${shorten(redactUrl(text))} is not fetched: ${why}.`, {
      failureType: 'input-forbidden',
    });
  };
  // The URL parser drops or converts these, and would fetch another URL than the one that people see.
  if (/[\p{Cc}\s\\]/u.test(text)) refuse('it contains white space, a control character or a backslash');
  const url = tryParse(text) ?? refuse('it is not a URL');
  if (url.protocol !== 'https:') refuse('only https is allowed');
  if (url.username || url.password) refuse('it carries a user name or password');
  url.hostname = withoutDot(url.hostname);
  url.hash = '';
  const host = url.hostname;
  const port = portOf(url);
  const rule = rules.find((one) => one.port === port && matches(one, host));
  if (!rule) refuse(`${host}${port === HTTPS_PORT ? '' : `:${port}`} is not in INPUT_HTTPS_HOSTS`);
  return url;
}

function matches(rule: HostRule, host: string): boolean {
  if (!rule.subdomains) return host === rule.host;
  return rule.host === '' || host.endsWith(`.${rule.host}`);
}

function portOf(url: URL): number {
  return url.port === '' ? HTTPS_PORT : Number(url.port);
}

function withoutDot(hostname: string): string {
  return hostname.replace(/\.$/, '');
}

function tryParse(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
