/** One line for each thing in a .proto file, in words close to the language's own. */
import { type DescMessage, isFieldSet, type MessageShape, toJson } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  EnumOptionsSchema,
  EnumValueOptionsSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileOptionsSchema,
  MessageOptionsSchema,
  MethodOptionsSchema,
  type ServiceDescriptorProto,
  ServiceOptionsSchema,
} from '@bufbuild/protobuf/wkt';

export type Fact = [name: string, what: string];

/** They say where generated code goes, in one language: each side has its own, and the wire knows nothing of them. */
const CODE_GENERATION =
  /^(java|objc|php|csharp|swift|ruby|go|cc|py)[A-Z]|^(optimizeFor|javaStringCheckUtf8|ctype|jstype)$/;

function options<Desc extends DescMessage>(schema: Desc, set: MessageShape<Desc> | undefined): string {
  if (set === undefined) return '';
  const known = Object.entries(toJson(schema, set) ?? {})
    .filter(([name]) => !CODE_GENERATION.test(name))
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  // Options of the contract's own making: their meaning is unknown here, but not whether they are equal.
  const custom = (set.$unknown ?? []).map(
    ({ no, data }) => `(${no}) = 0x${Buffer.from(data).toString('hex')}`,
  );
  const all = [...known, ...custom].sort();
  return all.length === 0 ? '' : ` [${all.join(', ')}]`;
}

const bare = (typeName: string) => typeName.replace(/^\./, '');

function fieldType(field: FieldDescriptorProto): string {
  return field.typeName === ''
    ? (FieldDescriptorProto_Type[field.type] ?? '?').toLowerCase()
    : bare(field.typeName);
}

/** The JSON name that a field has unless it says otherwise. */
function jsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}

/** `message` is undefined for an extension, which is outside of the message that it extends. */
function fieldFact(scope: string, message: DescriptorProto | undefined, field: FieldDescriptorProto): Fact {
  // A map is a repeated field of a message that the compiler makes up.
  const entry = message?.nestedType.find(
    (nested) => nested.options?.mapEntry === true && `${scope}.${nested.name}` === bare(field.typeName),
  );
  const [key, value] = entry?.field ?? [];
  const inOneof = isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex) && !field.proto3Optional;
  const parts = [
    `field ${field.number}`,
    field.proto3Optional ? 'optional' : '',
    field.label === FieldDescriptorProto_Label.REQUIRED ? 'required' : '',
    field.label === FieldDescriptorProto_Label.REPEATED && entry === undefined ? 'repeated' : '',
    key !== undefined && value !== undefined
      ? `map<${fieldType(key)}, ${fieldType(value)}>`
      : fieldType(field),
    inOneof ? `in oneof ${message?.oneofDecl[field.oneofIndex]?.name}` : '',
    field.extendee === '' ? '' : `extends ${bare(field.extendee)}`,
    field.defaultValue === '' ? '' : `default ${field.defaultValue}`,
    field.jsonName === jsonName(field.name) ? '' : `with the JSON name ${field.jsonName}`,
  ];
  const what = parts.filter((part) => part !== '').join(' ');
  return [`${scope}.${field.name}`, what + options(FieldOptionsSchema, field.options)];
}

function reserved(ranges: readonly { start: number; end: number }[], names: readonly string[]): string {
  const all = [...ranges.map(({ start, end }) => `${start}-${end}`).sort(), ...names.toSorted()];
  return all.length === 0 ? '' : ` reserved ${all.join(', ')}`;
}

function messageFacts(scope: string, file: string, message: DescriptorProto): Fact[] {
  const name = `${scope}.${message.name}`;
  // The end of a message's range is the first number after it, of an enum's the last in it.
  const kept = message.reservedRange.map(({ start, end }) => ({ start, end: end - 1 }));
  const what = `message in ${file}${reserved(kept, message.reservedName)}`;
  return [
    [name, what + options(MessageOptionsSchema, message.options)],
    ...message.field.map((field) => fieldFact(name, message, field)),
    ...message.extension.map((field) => fieldFact(name, undefined, field)),
    ...message.enumType.flatMap((nested) => enumFacts(name, file, nested)),
    ...message.nestedType
      .filter((nested) => nested.options?.mapEntry !== true)
      .flatMap((nested) => messageFacts(name, file, nested)),
  ];
}

function enumFacts(scope: string, file: string, definition: EnumDescriptorProto): Fact[] {
  const name = `${scope}.${definition.name}`;
  const what = `enum in ${file}${reserved(definition.reservedRange, definition.reservedName)}`;
  return [
    [name, what + options(EnumOptionsSchema, definition.options)],
    ...definition.value.map(
      (value): Fact => [
        `${name}.${value.name}`,
        `enum value ${value.number}${options(EnumValueOptionsSchema, value.options)}`,
      ],
    ),
  ];
}

function serviceFacts(scope: string, file: string, service: ServiceDescriptorProto): Fact[] {
  const name = `${scope}.${service.name}`;
  return [
    [name, `service in ${file}${options(ServiceOptionsSchema, service.options)}`],
    ...service.method.map((method): Fact => {
      const takes = `${method.clientStreaming ? 'stream ' : ''}${bare(method.inputType)}`;
      const returns = `${method.serverStreaming ? 'stream ' : ''}${bare(method.outputType)}`;
      const what = `rpc (${takes}) returns (${returns})`;
      return [`${name}.${method.name}`, what + options(MethodOptionsSchema, method.options)];
    }),
  ];
}

export function fileFacts(file: FileDescriptorProto): Fact[] {
  const { name, package: scope } = file;
  const syntax = file.syntax === '' ? 'proto2' : file.syntax;
  return [
    [name, `file of package ${scope}, ${syntax}${options(FileOptionsSchema, file.options)}`],
    ...file.messageType.flatMap((message) => messageFacts(scope, name, message)),
    ...file.enumType.flatMap((definition) => enumFacts(scope, name, definition)),
    ...file.service.flatMap((service) => serviceFacts(scope, name, service)),
    ...file.extension.map((field) => fieldFact(scope, undefined, field)),
  ];
}
