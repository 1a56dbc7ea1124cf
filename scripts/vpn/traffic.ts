import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connected } from './client.ts';
import { inside, type Network } from './network.ts';
import { must } from './run.ts';

/** The server's end of every tunnel. */
const SERVER_END = '10.200.0.1';

/** openconnect says that it is configured before it runs its script, so the script itself says when it has. */
const USABLE = 'the tunnel is usable';

/**
 * Writes a script for `ClientOptions.script` that makes the tunnel usable: its own routing table, chosen by the
 * source address, because all clients share one namespace and so many routes to one server would collide.
 */
export async function tunnelScript(folder: string): Promise<string> {
  const file = join(folder, 'tunnel.sh');
  await writeFile(
    file,
    `#!/bin/sh
case "$reason" in
connect)
  read -r index < "/sys/class/net/$TUNDEV/ifindex"
  ip address add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
  ip link set "$TUNDEV" up
  ip route add default dev "$TUNDEV" table "$((1000 + index))"
  ip rule add from "$INTERNAL_IP4_ADDRESS" table "$((1000 + index))"
  echo '${USABLE}' ;;
disconnect)
  ip rule delete from "$INTERNAL_IP4_ADDRESS" ;;
esac
`,
  );
  await chmod(file, 0o755);
  return file;
}

/**
 * Sends that many datagrams of `size` bytes (plus 28 of IP and UDP headers) through the client's tunnel, and resolves when
 * the server has them: a client that is told to leave drops what still waits in its tunnel.
 */
export async function sendThrough(
  network: Network,
  client: Connected,
  { packets, size = 1000 }: { packets: number; size?: number },
): Promise<void> {
  const sender = `
    const socket = require('node:dgram').createSocket('udp4');
    const send = (left) => left === 0 ? socket.close() : socket.send(Buffer.alloc(${size}), 9, '${SERVER_END}', (error) => {
      if (error) throw error;
      send(left - 1);
    });
    socket.bind(0, '${client.vpnIp}', () => send(${packets}));`;
  await client.log.waitFor(new RegExp(`^${USABLE}`));
  const counter = await receiveCounter(network, client);
  const expected = (await counter()) + packets * (size + 28);
  await must(inside(network.client, [process.execPath, '-e', sender]));
  const deadline = performance.now() + 10_000;
  for (let received = 0; received < expected; received = await counter()) {
    if (performance.now() > deadline)
      throw new Error(`${expected - received} bytes never came out of the tunnel`);
  }
}

/** What the server's end of that client's tunnel has taken in so far, by the kernel's count. */
async function receiveCounter(network: Network, client: Connected): Promise<() => Promise<number>> {
  const [route] = JSON.parse(await must(['ip', '-n', network.server, '-j', 'route', 'show', client.vpnIp]));
  const file = `/sys/class/net/${route?.dev}/statistics/rx_bytes`;
  return async () => Number(await must(inside(network.server, ['cat', file])));
}
