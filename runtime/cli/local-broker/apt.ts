/** Installs Debian packages where that needs no password: as root, on a Debian or Ubuntu with apt-get. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';

/** Whether {@link aptInstall} can work here. */
export function canAptInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/**
 * Installs packages without their recommendations, and starts none of the services they bring.
 *
 * The work runs in a session of its own: Ctrl-C must not leave dpkg half way.
 * @throws Error with the last lines of apt-get's output
 */
export async function aptInstall(...packages: string[]): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `{ ${INSTALL_SCRIPT} } 2>&1`, 'apt-install', ...packages], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const output = await text(child.stdout);
  if ((await exited) === 0) return;
  throw new Error(`apt-get could not install ${packages.join(' ')}:\n${lastLines(output)}`);
}

/** policy-rc.d tells packages not to start their services: https://manpages.debian.org/invoke-rc.d */
const INSTALL_SCRIPT = `
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >$policy
  chmod 755 $policy
fi
apt-get update -qq
apt-get install -qq -y --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
  for package in "$@"; do systemctl disable --quiet "$package" || true; done
fi
`;

function lastLines(output: string): string {
  return output.trim().split('\n').slice(-6).join('\n');
}
