/** Makes what grpc-js serves and calls by out of what ts-proto says of a service. */

import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { handleUnaryCall, MethodDefinition } from '@grpc/grpc-js';

interface MessageType {
  encode(message: never): BinaryWriter;
  decode(bytes: Uint8Array): unknown;
}

interface Service {
  readonly fullName: string;
  readonly methods: Readonly<
    Record<
      string,
      { readonly name: string; readonly requestType: MessageType; readonly responseType: MessageType }
    >
  >;
}

type Message<Type extends MessageType> = ReturnType<Type['decode']>;

export type ServiceOf<S extends Service> = {
  [Name in keyof S['methods']]: MethodDefinition<
    Message<S['methods'][Name]['requestType']>,
    Message<S['methods'][Name]['responseType']>
  >;
};

export type HandlersOf<S extends Service> = {
  [Name in keyof S['methods']]: handleUnaryCall<
    Message<S['methods'][Name]['requestType']>,
    Message<S['methods'][Name]['responseType']>
  >;
};

/** All methods are unary. */
export function serviceOf<S extends Service>({ fullName, methods }: S): ServiceOf<S> {
  const entries = Object.entries(methods).map(([key, { name, requestType, responseType }]) => [
    key,
    {
      path: `/${fullName}/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: serializerOf(requestType),
      requestDeserialize: (bytes: Buffer) => requestType.decode(bytes),
      responseSerialize: serializerOf(responseType),
      responseDeserialize: (bytes: Buffer) => responseType.decode(bytes),
    },
  ]);
  // Safe: each key's method is made of that key's types.
  return Object.fromEntries(entries) as ServiceOf<S>;
}

function serializerOf(type: MessageType): (message: unknown) => Buffer {
  return (message) => Buffer.from(type.encode(message as never).finish());
}
