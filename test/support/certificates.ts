/** Certificates for tests: an authority's for a server on loopback and a client, or a server's that signs itself. */
import { createPrivateKey } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';

const YESTERDAY = new Date(Date.now() - 86_400_000);

export interface PemPair {
  key: string;
  cert: string;
}

export interface Certificates {
  /** For the server: ca.pem, cert.pem, key.pem. */
  serverFolder: string;
  caFile: string;
  /** The client's; its common name is the user it logs in as. */
  certFile: string;
  keyFile: string;
  /** The same key, encrypted. */
  encryptedKeyFile: string;
  passphrase: string;
}

/** Clients trust it as their `ca`. @param names DNS names and addresses */
export function selfSignedCertificate(names: string[]): Promise<PemPair> {
  return certificate('darkroom test', { names, isAuthority: true });
}

export async function makeCertificates(folder: string, clientName: string): Promise<Certificates> {
  const file = (name: string) => join(folder, name);
  const passphrase = 'correct horse';
  const ca = await certificate('Test authority', { isAuthority: true });
  const server = await certificate('localhost', { ca, names: ['127.0.0.1', 'localhost'] });
  const client = await certificate(clientName, { ca });
  const cipher = { cipher: 'aes-256-cbc', passphrase };
  const encrypted = createPrivateKey(client.key).export({ type: 'pkcs8', format: 'pem', ...cipher });
  const serverFolder = file('server');
  await mkdir(serverFolder);
  const files: Record<string, string | Buffer> = {
    'ca.pem': ca.cert,
    'client.pem': client.cert,
    'client-key.pem': client.key,
    'client-encrypted.pem': encrypted,
    'server/ca.pem': ca.cert,
    'server/cert.pem': server.cert,
    'server/key.pem': server.key,
  };
  for (const [name, pem] of Object.entries(files)) {
    await writeFile(file(name), pem);
    // RabbitMQ in a container reads them as a user of its own.
    await chmod(file(name), 0o644);
  }
  await chmod(serverFolder, 0o755);
  return {
    serverFolder,
    caFile: file('ca.pem'),
    certFile: file('client.pem'),
    keyFile: file('client-key.pem'),
    encryptedKeyFile: file('client-encrypted.pem'),
    passphrase,
  };
}

async function certificate(
  commonName: string,
  { ca, names = [], isAuthority = false }: { ca?: PemPair; names?: string[]; isAuthority?: boolean },
): Promise<PemPair> {
  const altNames = names.map((name) =>
    isIP(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name },
  );
  const { private: key, cert } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: YESTERDAY,
    extensions: [
      { name: 'basicConstraints', cA: isAuthority },
      ...(names.length > 0 ? [{ name: 'subjectAltName' as const, altNames }] : []),
    ],
    ...(ca !== undefined && { ca }),
  });
  return { key, cert };
}
