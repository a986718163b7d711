/** Reads the files that the AMQP_*_FILE variables name, anew each time: secrets may be rotated. */

import { readFile } from 'node:fs/promises';
import { asError } from '../errors.ts';

export interface LoginFiles {
  usernameFile?: string;
  passwordFile?: string;
}

export interface TlsFiles {
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  keyPassphraseFile?: string;
}

export async function readLogin({ usernameFile, passwordFile }: LoginFiles) {
  const [username, password] = await Promise.all([
    readSecret('AMQP_USERNAME_FILE', usernameFile),
    readSecret('AMQP_PASSWORD_FILE', passwordFile),
  ]);
  return { username, password };
}

/** Under the names of Node's TLS options. */
export async function readTlsSecrets(files: TlsFiles) {
  const [ca, cert, key, passphrase] = await Promise.all([
    readSecret('AMQP_CA_FILE', files.caFile),
    readSecret('AMQP_CERT_FILE', files.certFile),
    readSecret('AMQP_KEY_FILE', files.keyFile),
    readSecret('AMQP_KEY_PASSPHRASE_FILE', files.keyPassphraseFile),
  ]);
  return { ca, cert, key, passphrase };
}

async function readSecret(variable: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new Error(`cannot read ${variable} ${path}: ${asError(error).message}`, { cause: error });
  }
}
