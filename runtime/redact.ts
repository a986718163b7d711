/** Removes secrets from URLs and from any text that may contain URLs, for logs, events and dead letters. */

const REDACTED = 'REDACTED';

/**
 * Names whose values grant access: AWS and Google signatures, tokens, passwords, keys. Every repetition below is
 * bounded, so that hostile text costs linear time.
 */
const SECRET_NAME =
  '(?:x-(?:amz|goog)-(?:signature|credential)|awsaccesskeyid|googleaccessid|signature|credential|' +
  '[\\w.-]{0,40}(?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|credentials))';
/** Names too common in prose, which are secret only as query parameters: Azure SAS, CloudFront, OAuth. */
const SECRET_PARAMETER = '(?:sig|policy|key-pair-id|key|pwd|pass|code|auth|authorization|jwt|session(?:id)?)';

const PARAMETER_START = '(?:[?&#;]|&amp;|\\\\u0026|%3f|%26|%23)';
/** Ends at what cannot be in a query value, plain or percent-encoded once. */
const VALUE = '(?:(?!&amp;|\\\\u0026|%26|%23)[^\\s&#;"\'<>`,)\\]}\\\\])+';

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
  [new RegExp(`(${PARAMETER_START}(?:${SECRET_PARAMETER})(?:=|%3d))${VALUE}`, 'gi'), `$1${REDACTED}`],
  [new RegExp(`((?<![a-z\\d])${SECRET_NAME}(?:=|%3d))${VALUE}`, 'gi'), `$1${REDACTED}`],
  // JSON and YAML: "password": "…"
  [new RegExp(`("${SECRET_NAME}\\\\?"\\s?:\\s?\\\\?")[^"]+`, 'gi'), `$1${REDACTED}`],
  [
    /\b((?:proxy-)?authorization["']?\s?[:=]\s?["']?)(?:(?:bearer|basic|aws4-hmac-sha256)\s+)?[^\s"']+/gi,
    `$1${REDACTED}`,
  ],
  [/\b(bearer\s+)[\w.~+/-]{8,}=*/gi, `$1${REDACTED}`],
];

/**
 * A URL that can be shown: user, password and the values of signing parameters are replaced. Works on malformed
 * URLs too, since error messages quote them.
 */
export function redactUrl(url: string | URL): string {
  return redactText(String(url));
}

/** Any text, with the secrets in it replaced. */
export function redactText(text: string): string {
  return RULES.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), text);
}

/** Reasons and the like, as they stand in events, dead letters and logs. */
const MAX_TEXT_CHARACTERS = 2_000;

/** Text of any length within what events, headers and logs hold. Redact first: half a secret is not recognised. */
export function capText(text: string, maxCharacters = MAX_TEXT_CHARACTERS): string {
  return text.length > maxCharacters ? `${text.slice(0, maxCharacters - 1)}…` : text;
}

const SHOWN_CHARS = 200;

/** A sender's text as a message quotes it: cut when long. Redact first: in a cut URL no password is recognized. */
export function shorten(text: string): string {
  return capText(text, SHOWN_CHARS + 1);
}
