/** This machine, for whoever compares two reports. */
import { arch, cpus, platform, release, totalmem } from 'node:os';

export function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

/** In one line. */
export function machineText(): string {
  const { cpu, cores, memoryGiB } = machine();
  return `${cores} × ${cpu}, ${memoryGiB} GiB, ${platform()}, Node ${process.versions.node}`;
}
