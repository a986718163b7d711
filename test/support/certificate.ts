/** Makes TLS certificates for tests, since Node cannot and a bare machine has no openssl command. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

const DAY_MS = 24 * 60 * 60 * 1000;
const OID = {
  ecdsaWithSha256: '06082a8648ce3d040302',
  commonName: '0603550403',
  subjectAltName: '0603551d11',
  basicConstraints: '0603551d13',
};
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  utf8: 0x0c,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
};

/**
 * A self-signed certificate, valid since yesterday and for a month; clients trust it as their `ca`.
 * @param names DNS names and IPv4 addresses
 */
export function selfSignedCertificate(names: string[]): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(TAG.sequence, Buffer.from(OID.ecdsaWithSha256, 'hex'));
  const name = der(
    TAG.sequence,
    der(
      TAG.set,
      der(TAG.sequence, Buffer.from(OID.commonName, 'hex'), der(TAG.utf8, Buffer.from('darkroom test'))),
    ),
  );
  const body = der(
    TAG.sequence,
    der(0xa0, der(TAG.integer, Buffer.of(2))), // version 3
    der(TAG.integer, Buffer.concat([Buffer.of(1), randomBytes(15)])),
    algorithm,
    name,
    der(TAG.sequence, time(-DAY_MS), time(30 * DAY_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(TAG.sequence, isAuthority(), alternativeNames(names))),
  );
  const signature = der(TAG.bits, Buffer.of(0), sign('sha256', body, privateKey));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem(der(TAG.sequence, body, algorithm, signature)),
  };
}

function isAuthority(): Buffer {
  return extension(OID.basicConstraints, der(TAG.sequence, der(TAG.boolean, Buffer.of(0xff))));
}

function alternativeNames(names: string[]): Buffer {
  const encoded = names.map((name) =>
    isIPv4(name) ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name)),
  );
  return extension(OID.subjectAltName, der(TAG.sequence, ...encoded));
}

function extension(oid: string, value: Buffer): Buffer {
  return der(TAG.sequence, Buffer.from(oid, 'hex'), der(TAG.octets, value));
}

/** GeneralizedTime, relative to now. */
function time(offsetMs: number): Buffer {
  const text = new Date(Date.now() + offsetMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return der(TAG.time, Buffer.from(text));
}

/** One DER element: tag, length, contents. */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
