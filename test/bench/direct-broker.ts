/** The shortest way to the broker: what Docker publishes on this machine goes through a proxy that costs CPU time. */
import { connect } from 'node:net';
import { getContainerRuntimeClient } from 'testcontainers';

const CONNECT_TIMEOUT_MS = 1_000;

/** The container's own address, where the URL names a port that a container publishes here; else the URL as it is. */
export async function directUrl(amqpUrl: string): Promise<string> {
  const url = new URL(amqpUrl);
  if (!['localhost', '127.0.0.1'].includes(url.hostname)) return amqpUrl;
  const address = await containerAddress(Number(url.port)).catch(() => undefined);
  if (address === undefined || !(await answers(address))) return amqpUrl;
  url.hostname = address.host;
  url.port = String(address.port);
  return url.href;
}

interface Address {
  host: string;
  port: number;
}

async function containerAddress(published: number): Promise<Address | undefined> {
  const { container } = await getContainerRuntimeClient();
  for (const { Ports, NetworkSettings } of await container.dockerode.listContainers()) {
    const port = Ports.find(({ PublicPort }) => PublicPort === published)?.PrivatePort;
    const [network] = Object.values(NetworkSettings.Networks);
    if (port !== undefined && network?.IPAddress) return { host: network.IPAddress, port };
  }
  return undefined;
}

function answers({ host, port }: Address): Promise<boolean> {
  const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    for (const end of ['error', 'timeout']) socket.once(end, () => resolve(false));
  }).finally(() => socket.destroy());
}
