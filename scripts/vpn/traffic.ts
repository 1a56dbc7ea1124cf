import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connected } from './client.ts';
import { inside, type Network } from './network.ts';
import { must } from './run.ts';

/** The server's end of every tunnel. */
const SERVER_END = '10.200.0.1';

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
  ip rule add from "$INTERNAL_IP4_ADDRESS" table "$((1000 + index))" ;;
disconnect)
  ip rule delete from "$INTERNAL_IP4_ADDRESS" ;;
esac
`,
  );
  await chmod(file, 0o755);
  return file;
}

/** Sends that many datagrams of `size` bytes (plus 28 of IP and UDP headers) through the client's tunnel. */
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
  await must(inside(network.client, [process.execPath, '-e', sender]));
}
