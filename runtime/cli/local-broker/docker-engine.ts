/** The Docker engine of this machine, as testcontainers finds it. */
import { type ContainerRuntimeClient, getContainerRuntimeClient, ImageName } from 'testcontainers';
import { asError } from '../../errors.ts';

/** A container of the engine, by id or name. */
export type EngineContainer = ReturnType<ContainerRuntimeClient['container']['getById']>;

/** Whether an engine answers, with the image at hand (`ready`) or without (`needs-pull`). */
export async function engineState(image: string): Promise<'ready' | 'needs-pull' | 'absent'> {
  try {
    const client = await getContainerRuntimeClient();
    if (!isEngineOf(client, process.env.DOCKER_HOST)) return 'absent';
    return (await client.image.exists(ImageName.fromString(image))) ? 'ready' : 'needs-pull';
  } catch {
    return 'absent';
  }
}

/** @throws Error with what the engine said, or that it took too long */
export async function pullImage(image: string, timeoutMs: number): Promise<void> {
  const name = ImageName.fromString(image);
  const { image: images } = await getContainerRuntimeClient();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no end within ${timeoutMs / 1_000} s`)), timeoutMs);
  try {
    await Promise.race([images.pull(name), late.promise]);
  } catch (error) {
    throw new Error(engineReason(error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
  // What fails while layers arrive is only logged.
  if (!(await images.exists(name))) throw new Error('the engine does not have it after the pull');
}

/** Removes a container with its volumes; one that is not there is no error. @returns whether it was there */
export async function removeContainer(name: string): Promise<boolean> {
  const { container: containers } = await getContainerRuntimeClient();
  try {
    await containers.getById(name).remove({ force: true, v: true });
    return true;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return false;
    throw error;
  }
}

/** Where the engine of DOCKER_HOST does not answer, testcontainers goes on to another: not what was asked for. */
function isEngineOf(client: ContainerRuntimeClient, dockerHost: string | undefined): boolean {
  if (!dockerHost || !URL.canParse(dockerHost)) return !dockerHost;
  const { socketPath, host } = client.container.dockerode.modem as { socketPath?: string; host?: string };
  const { hostname, pathname } = new URL(dockerHost);
  return hostname === '' ? socketPath === pathname : host === hostname;
}

/** The engine's own sentence, without the client's about HTTP. */
function engineReason(error: unknown): string {
  const text = asError(error).message.replace(/^\(HTTP code \d+\) [^-]*- /, '');
  return text.trim().split('\n')[0] ?? '';
}
