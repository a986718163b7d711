/** Removes secrets from URLs and from any text that may contain URLs, for logs, events and dead letters. */

const REDACTED = 'REDACTED';

/**
 * Names whose values grant access: AWS and Google signatures, tokens, passwords, keys. Every repetition below is
 * bounded, so that hostile text costs linear time.
 */
const SECRET_NAME =
  '(?:x-(?:amz|goog)-(?:signature|credential)|awsaccesskeyid|googleaccessid|signature|credential|' +
  '[\\w.-]{0,40}(?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|credentials))';
/** Names too common in prose, which are secret only as parameters of a path or a form. */
const SECRET_PARAMETER =
  '(?:sig|policy|key-pair-id|key|pwd|pass|code|auth|authorization|jwt|j?session(?:id)?)';

const PARAMETER_START = '(?:[?&#;]|&amp;|\\\\u0026|%3f|%26|%23)';
/** Ends at what cannot be in a parameter's value, plain or percent-encoded once. */
const VALUE = '(?:(?!&amp;|\\\\u0026|%26|%23)[^\\s&#;"\'<>`,)\\]}\\\\])+';

const SCHEME = '[a-z][a-z\\d+.-]{0,20}://';
/** The rest of a URL: up to a space, or to a quote or bracket that something else than a word follows. */
const REST = '(?:[^\\s"\'<>`\\\\]|["\'<>`\\\\](?=[\\w%&=+/-]))';
/** An example in a message of our own, such as `?region=…`: without a single value. */
const EXAMPLE = '(?:\\w{1,20}=(?:https://)?…&?){1,5}(?![^\\s.,;)"\'])';

const RULES: [pattern: RegExp, replacement: string][] = [
  [/-----BEGIN ([A-Z ]{0,30}PRIVATE KEY)-----[^-]*(?:-----END [A-Z ]{0,30}-----)?/g, `[$1 ${REDACTED}]`],
  // user:password@, up to the last @ of the authority, also percent-encoded once.
  [/\b([a-z][a-z\d+.-]{0,20}:\/\/)[^\s/?#"'<>`]{1,2000}@/gi, `$1${REDACTED}@`],
  [/\b([a-z][a-z\d+.-]{0,20}%3a%2f%2f)(?:(?!%2f|%3f|%40)[^\s/?#"'<>`&]){1,2000}%40/gi, `$1${REDACTED}%40`],
  // A password with an unescaped / ? or #: what stands after the colon is not a port.
  [
    /\b([a-z][a-z\d+.-]{0,20}:\/\/)(?!REDACTED@)[^\s/?#@:[\]"'<>`]{0,200}:(?!\d{0,5}(?:[/?#\s"'<>`,;)]|$))[^\s"'<>`@]{1,500}@/gi,
    `$1${REDACTED}@`,
  ],
  // The same in a text that somebody else has cut off before the @.
  [
    /\b([a-z][a-z\d+.-]{0,20}:\/\/)[^\s/?#@:[\]"'<>`]{0,200}:(?!\d{0,5}(?:[/?#\s"'<>`,;)…]|$))[^\s"'<>`@]{1,500}(?=…|$)/gi,
    `$1${REDACTED}`,
  ],
  // Queries and fragments go whole: nobody can list all the names that secrets have there.
  [
    new RegExp(`\\b(${SCHEME}[^\\s?#"'<>\`]{0,2000}\\?)(?!${REDACTED}|${EXAMPLE}|[)\\],.;:])${REST}+`, 'gi'),
    `$1${REDACTED}`,
  ],
  [
    new RegExp(`(\\?|%3f)(?!${EXAMPLE})(?=[^\\s?=#"'<>\`]{0,100}(?:=|%3d)[^\\s"'<>\`,;])${REST}+`, 'gi'),
    `$1${REDACTED}`,
  ],
  [
    new RegExp(`\\b(${SCHEME}[^\\s#"'<>\`]{0,2000}#)(?=[^\\s"'<>\`]{0,200}(?:=|%3d))${REST}+`, 'gi'),
    `$1${REDACTED}`,
  ],
  [new RegExp(`(${PARAMETER_START}(?:${SECRET_PARAMETER})(?:=|%3d))${VALUE}`, 'gi'), `$1${REDACTED}`],
  [new RegExp(`((?<![a-z\\d])${SECRET_NAME}(?:=|%3d))${VALUE}`, 'gi'), `$1${REDACTED}`],
  // JSON, YAML and what Node prints: "password": "…", password: '…'
  [
    new RegExp(`((?<![a-z\\d])${SECRET_NAME}\\\\?["']?\\s?[:=]\\s?\\\\?")(?!\\s)[^"]+`, 'gi'),
    `$1${REDACTED}`,
  ],
  [new RegExp(`((?<![a-z\\d])${SECRET_NAME}["']?\\s?[:=]\\s?')(?!\\s)[^']+`, 'gi'), `$1${REDACTED}`],
  [
    /\b((?:proxy-)?authorization["']?\s?[:=]\s?["']?)(?:(?:bearer|basic|aws4-hmac-sha256)\s+)?[^\s"']+/gi,
    `$1${REDACTED}`,
  ],
  [/\b((?:set-)?cookie["']?\s?:\s?["']?)[^\r\n"']+/gi, `$1${REDACTED}`],
  [/\b(x-[\w-]{1,40}(?:token|key|secret|signature)["']?\s?:\s?["']?)[^\s"',]+/gi, `$1${REDACTED}`],
  [/\b(bearer\s+)[\w.~+/-]{8,}=*/gi, `$1${REDACTED}`],
];

/** One of these is in every text that a rule changes. Most texts that are logged, times among them, have none. */
const SUSPECT = /[?=%]|:(?!\d\d(?!\d))|bearer|-----BEGIN/i;

/** A URL that can be shown: user, password and query are replaced. Malformed ones too, since messages quote them. */
export function redactUrl(url: string | URL): string {
  return redactText(String(url));
}

/** Any text, with the secrets in it replaced. */
export function redactText(text: string): string {
  if (!SUSPECT.test(text)) return text;
  return RULES.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), text);
}

/** Reasons and the like, as they stand in events, dead letters and logs. */
const MAX_TEXT_CHARACTERS = 2_000;

/** So much more than is shown is looked at: the rules take seconds for a hostile megabyte. */
const LOOKED_AT_FACTOR = 4;
const MIN_LOOKED_AT = 8_192;

/**
 * Text of any length within what events, headers and logs hold. Cut last: half a secret would not be recognised. What
 * is far beyond the cut is left out first, with the mark that tells the rules of a text cut off.
 */
export function capText(text: string, maxCharacters = MAX_TEXT_CHARACTERS): string {
  const lookedAt = Math.max(MIN_LOOKED_AT, LOOKED_AT_FACTOR * maxCharacters);
  const clean = redactText(text.length > lookedAt ? `${text.slice(0, lookedAt)}…` : text);
  return clean.length > maxCharacters ? `${clean.slice(0, maxCharacters - 1)}…` : clean;
}

const SHOWN_CHARS = 200;

/** A sender's text as a message quotes it. */
export function shorten(text: string): string {
  return capText(text, SHOWN_CHARS + 1);
}
