import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { AuthServiceDefinition } from './gen/vpn/v1/auth.ts';
import { EventServiceDefinition } from './gen/vpn/v1/events.ts';

/** One rpc. */
export interface Method<Request, Response> {
  /** As the contract names it: `CheckPolicy`. */
  readonly name: string;
  /** As HTTP/2 asks for it: `/package.Service/Method`. */
  readonly path: string;
  readonly encode: (request: Request) => Uint8Array;
  /** @throws when the bytes are no such message. */
  readonly decode: (bytes: Uint8Array) => Response;
}

/** As ts-proto describes one. */
interface Described<Request, Response> {
  readonly name: string;
  readonly requestType: { encode(request: Request): BinaryWriter };
  readonly responseType: { decode(bytes: Uint8Array): Response };
}

function method<Request, Response>(
  service: { readonly fullName: string },
  { name, requestType, responseType }: Described<Request, Response>,
): Method<Request, Response> {
  return {
    name,
    path: `/${service.fullName}/${name}`,
    encode: (request) => requestType.encode(request).finish(),
    decode: (bytes) => responseType.decode(bytes),
  };
}

const auth = AuthServiceDefinition.methods;
const events = EventServiceDefinition.methods;

/** The rpcs of contract/portal.md. */
export const METHODS = {
  checkPolicy: method(AuthServiceDefinition, auth.checkPolicy),
  validateSession: method(AuthServiceDefinition, auth.validateSession),
  reportConnect: method(EventServiceDefinition, events.reportConnect),
  reportDisconnect: method(EventServiceDefinition, events.reportDisconnect),
  reportSessionUpdate: method(EventServiceDefinition, events.reportSessionUpdate),
};
