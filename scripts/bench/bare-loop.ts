/**
 * Sends the events of an outbox by grpc-js and nothing else: read beforehand, over one connection, as many calls in flight as a
 * drain has, and nothing is made of the answers. It ends with 0 when the portal took all of them. What a drain could reach at best:
 *
 *   OCAGENT_CONFIG=FILE node scripts/bench/bare-loop.ts
 */
import { type ChannelCredentials, Client, credentials, Metadata, type MethodDefinition } from '@grpc/grpc-js';
import type { Stats } from '../../src/accounting/event.ts';
import { formatAddress } from '../../src/config/address.ts';
import { configFile, loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { secureContextOf } from '../../src/portal/credentials.ts';
import { DisconnectReason, EventServiceDefinition } from '../../src/portal/gen/vpn/v1/events.ts';
import { metadataOf } from '../../src/portal/metadata.ts';
import type { Queued } from '../../src/state/outbox.ts';
import { listEvents } from '../../src/state/outbox-list.ts';
import { CHECKPOINT_PAGES, State } from '../../src/state/state.ts';
import { serviceOf } from '../portal/service-of.ts';
import { EVENTS } from './outbox-size.ts';

/** As src/events/drain.ts. */
const IN_FLIGHT = 32;

const EVENT_SERVICE = serviceOf(EventServiceDefinition);

type Send = (client: Client) => Promise<void>;

const config = await loadConfig(configFile());
const sends = (await eventsOf(config)).map((queued) =>
  sendOf(queued, Metadata.fromHttp2Headers(metadataOf(config.agent_id, queued.event.vhost, queued.id))),
);
if (sends.length !== EVENTS) throw new Error(`${sends.length} events in the outbox, and not ${EVENTS}`);
const client = clientOf(config);
let next = 0;
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    for (let send = sends[next++]; send !== undefined; send = sends[next++]) await send(client);
  }),
);
client.close();

async function eventsOf({ state: { path } }: Config): Promise<Queued[]> {
  const state = await State.open({
    path,
    create: false,
    patience: 10_000,
    durable: false,
    checkpointPages: CHECKPOINT_PAGES,
    onSetAside: () => {},
  });
  return state.read((tx) => listEvents(tx, { limit: EVENTS }));
}

function clientOf({ portal }: Config): Client {
  const context = secureContextOf(portal.tls);
  const [address] = portal.address;
  if (context !== null && 'counts' in context) throw new Error(context.detail);
  if (address === undefined) throw new Error('no portal.address');
  const channel: ChannelCredentials =
    context === null ? credentials.createInsecure() : credentials.createFromSecureContext(context);
  return new Client(`dns:${formatAddress(address)}`, channel, { 'grpc.enable_retries': 0 });
}

function sendOf({ event }: Queued, metadata: Metadata): Send {
  const { username, sessionId } = event;
  const at = new Date(event.at);
  switch (event.type) {
    case 'connect': {
      const { clientIp, vpnIp, device, groupname } = event;
      const more = { clientIp, vpnIp, device, groupname, metadata: { ...event.metadata } };
      const request = { username, sessionId, connectedAt: at, ...more };
      return (client) => call(client, EVENT_SERVICE.reportConnect, request, metadata);
    }
    case 'disconnect': {
      const reason = DisconnectReason[`DISCONNECT_REASON_${event.reason}`];
      const more = { reason, stats: countsOf(event.stats), metadata: { ...event.metadata } };
      const request = { username, sessionId, disconnectedAt: at, ...more };
      return (client) => call(client, EVENT_SERVICE.reportDisconnect, request, metadata);
    }
    case 'update':
      throw new Error('no update was put there');
  }
}

function countsOf(stats: Stats) {
  return {
    durationSeconds: BigInt(stats.durationSeconds),
    bytesReceived: BigInt(stats.bytesReceived),
    bytesSent: BigInt(stats.bytesSent),
    packetsReceived: BigInt(stats.packetsReceived),
    packetsSent: BigInt(stats.packetsSent),
  };
}

function call<Request, Response extends { readonly success: boolean }>(
  client: Client,
  {
    path,
    requestSerialize,
    responseDeserialize,
  }: Pick<MethodDefinition<Request, Response>, 'path' | 'requestSerialize' | 'responseDeserialize'>,
  request: Request,
  metadata: Metadata,
): Promise<void> {
  const deadline = Date.now() + 10_000;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => {
        if (response?.success === true) resolve();
        else reject(error ?? new Error(`${path}: not taken`));
      },
    );
  });
}
