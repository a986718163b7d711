/** Certificates for a test: an authority, a server on loopback and a client, made with openssl. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

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

const run = promisify(execFile);

export async function makeCertificates(folder: string, clientName: string): Promise<Certificates> {
  const serverFolder = join(folder, 'server');
  await mkdir(serverFolder, { mode: 0o755 });
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder });
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-subj',
    '/CN=Test authority',
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca.pem',
  );
  await writeFile(join(folder, 'san.cnf'), 'subjectAltName = IP:127.0.0.1, DNS:localhost\n');
  await sign('server/key.pem', 'server/cert.pem', 'localhost', ['-extfile', 'san.cnf']);
  await sign('client-key.pem', 'client.pem', clientName, []);
  const passphrase = 'correct horse';
  await openssl(
    'rsa',
    '-aes256',
    '-in',
    'client-key.pem',
    '-out',
    'client-encrypted.pem',
    '-passout',
    `pass:${passphrase}`,
  );
  await run('cp', ['ca.pem', 'server/ca.pem'], { cwd: folder });
  // RabbitMQ in a container reads them as a user of its own.
  await run('chmod', ['-R', 'a+rX', serverFolder]);

  async function sign(key: string, certificate: string, name: string, extensions: string[]) {
    await openssl(
      'req',
      '-new',
      ...newKey.slice(0, 3),
      '-subj',
      `/CN=${name}`,
      '-keyout',
      key,
      '-out',
      'request.pem',
    );
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2'];
    await openssl('x509', '-req', '-in', 'request.pem', ...authority, ...extensions, '-out', certificate);
  }

  return {
    serverFolder,
    caFile: join(folder, 'ca.pem'),
    certFile: join(folder, 'client.pem'),
    keyFile: join(folder, 'client-key.pem'),
    encryptedKeyFile: join(folder, 'client-encrypted.pem'),
    passphrase,
  };
}
