/** A user of a broker with rights of its own, made through the management API. */
import { type TestBroker, testBroker, uniqueName } from './rabbit.ts';

export interface BrokerUser extends AsyncDisposable {
  name: string;
  password: string;
  /** AMQP_URL with this user's login. */
  amqpUrl: string;
}

interface Rights {
  configure: string;
  write: string;
  read: string;
}

/**
 * @param broker default: the shared one
 * @returns undefined where there is no management API to make one with
 */
export async function brokerUser(
  rights: Partial<Rights>,
  broker?: TestBroker,
): Promise<BrokerUser | undefined> {
  const { amqpUrl, managementUrl } = broker ?? (await testBroker());
  if (managementUrl === undefined) return undefined;
  const [name, password] = [uniqueName('user'), uniqueName('password')];
  const url = new URL(amqpUrl);
  const vhost = encodeURIComponent(decodeURIComponent(url.pathname.slice(1)) || '/');
  const call = (method: string, path: string, body?: object) => callApi(managementUrl, method, path, body);
  await call('PUT', `users/${name}`, { password, tags: 'monitoring' });
  await call('PUT', `permissions/${vhost}/${name}`, { configure: '', write: '', read: '', ...rights });
  [url.username, url.password] = [name, password];
  return {
    name,
    password,
    amqpUrl: url.href,
    [Symbol.asyncDispose]: () => call('DELETE', `users/${name}`),
  };
}

async function callApi(managementUrl: string, method: string, path: string, body?: object): Promise<void> {
  const { username, password, origin } = new URL(managementUrl);
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  const response = await fetch(`${origin}/api/${path}`, {
    method,
    headers: { authorization: `Basic ${login.toString('base64')}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path} answers ${response.status}: ${await response.text()}`);
}
