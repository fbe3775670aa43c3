import { z } from 'zod'
import { bearNewFields, catalogue, isSaid, type Described, type EventTopic, type Kind } from './catalogue.ts'
import { dataId, dataset, metric, outcome } from './shapes.ts'
import { camera, oods, subjects } from './subjects.ts'

/**
 * The wire as an AsyncAPI 3.0 document, seen from OCPS: what it receives and sends, on which subjects, in which shape.
 * Made from the schemas that check and describe the messages and from the functions that spell the subjects, so it
 * cannot say anything else.
 */
export interface AsyncApi {
  readonly asyncapi: '3.0.0'
  readonly info: object
  readonly defaultContentType: string
  readonly servers: Readonly<Record<string, object>>
  readonly channels: Readonly<Record<string, Channel>>
  readonly operations: Readonly<Record<string, Operation>>
  readonly components: {
    readonly messages: Readonly<Record<string, object>>
    readonly schemas: Readonly<Record<string, object>>
  }
}

interface Ref {
  readonly $ref: string
}

interface Channel {
  /** null: where the asker said it wants the answer. */
  readonly address: string | null
  readonly description: string
  readonly parameters?: Readonly<Record<string, { readonly description: string }>>
  readonly messages: Readonly<Record<string, Ref>>
}

interface Operation {
  readonly action: 'receive' | 'send'
  readonly summary: string
  readonly channel: Ref
  readonly messages: readonly Ref[]
  readonly reply?: { readonly channel: Ref; readonly messages: readonly Ref[] }
}

export function asyncApi(version: string): AsyncApi {
  const onWire = catalogue.filter(({ kind }) => kind !== 'file')
  const places = onWire.filter(({ kind }) => Object.hasOwn(DIRECTIONS, kind))
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'OCPS, the OCS Controlled Pipeline System',
      version,
      description:
        'Seen from OCPS: it receives commands and questions and sends events and telemetry, over NATS. Every id in a subject has each byte outside A-Za-z0-9_- spelled =XX.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      nats: {
        host: '{address}',
        protocol: 'nats',
        variables: { address: { default: '127.0.0.1:4222', description: 'As in NATS_URL' } },
      },
    },
    channels: {
      ...Object.fromEntries(places.map(one => [one.name, channelOf(one)])),
      [JOURNAL]: {
        address: subjects('{instance}').journal,
        description: 'What came in, in order; written by OCPS only, and kept in a stream',
        parameters: parametersOf(subjects('{instance}').journal),
        messages: { entries: message('entries') },
      },
      [INBOX]: {
        address: null,
        description: 'The reply subject of the request',
        messages: Object.fromEntries(
          onWire.filter(({ kind }) => isReply(kind)).map(({ name }) => [name, message(name)]),
        ),
      },
    },
    operations: {
      ...Object.fromEntries(places.flatMap(one => operationOf(one))),
      journal: {
        action: 'send',
        summary: 'Writes down what came in',
        channel: channel(JOURNAL),
        messages: [{ $ref: `#/channels/${JOURNAL}/messages/entries` }],
      },
    },
    components: {
      messages: {
        ...Object.fromEntries(onWire.filter(({ kind }) => kind !== 'text').map(one => [one.name, messageOf(one)])),
        entries: ENTRIES,
      },
      schemas: { ...schemasOf(onWire), ...HEADERS },
    },
  }
}

const INBOX = 'inbox'
const JOURNAL = 'journal'

/** Which way the messages go that have a subject of their own. */
const DIRECTIONS: Readonly<Partial<Record<Kind, 'receive' | 'send'>>> = {
  command: 'receive',
  question: 'receive',
  heard: 'receive',
  event: 'send',
  telemetry: 'send',
}

const PARAMETERS: Readonly<Record<string, string>> = {
  instance: 'The instance, such as LATISS: 1 to 32 letters, digits, _ or -',
  jobId: 'The job',
  group: 'The group, each byte outside A-Za-z0-9_- spelled =XX',
  view: 'The view, as the configuration names it',
  camera: 'The camera',
  oods: 'The OODS',
}

/** By what the events of a topic are kept apart; null: there is one. */
const KEYS: Readonly<Record<EventTopic, 'jobId' | 'group' | 'view' | null>> = {
  summaryState: null,
  errorCode: null,
  logLevel: null,
  simulationMode: null,
  softwareVersions: null,
  configurationsAvailable: null,
  configurationApplied: null,
  jobState: 'jobId',
  jobResult: 'jobId',
  groupState: 'group',
  groupResult: 'group',
  displayRequest: 'view',
  job_id: 'jobId',
  job_result: 'jobId',
  heartbeat: null,
  logMessage: null,
}

function channelOf(one: Described): Channel {
  const address = addressOf(one)
  return {
    address,
    description: one.kind === 'event' ? `${one.about}. The last of each subject is kept for who comes late` : one.about,
    parameters: parametersOf(address),
    messages: { [one.name]: message(one.name) },
  }
}

/** The subject with its variable tokens in braces. */
function addressOf({ name, kind }: Described): string {
  const to = subjects('{instance}')
  switch (kind) {
    case 'command':
      return to.command(name)
    case 'question':
      return to.query(name.slice('qry.'.length))
    case 'telemetry':
      return to.telemetry(name, TOKEN).replace(TOKEN, '{jobId}')
    case 'event': {
      const key = KEYS[name as EventTopic]
      return key === null ? to.event(name) : to.event(name, TOKEN).replace(TOKEN, `{${key}}`)
    }
    case 'heard':
      return name === 'imageInOODS' ? oods.imageInOODS('{oods}') : camera[name as keyof typeof camera]('{camera}')
    case 'file':
    case 'acknowledgement':
    case 'answer':
    case 'text':
      throw new Error(`invariant: ${name} has no subject of its own`)
  }
}

// Legal in a subject as it stands, and in none of ours.
const TOKEN = 'TOKEN'

function parametersOf(address: string): Record<string, { description: string }> {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  return Object.fromEntries(names.map(name => [name, { description: PARAMETERS[name] ?? name }]))
}

function operationOf({ name, kind, about }: Described): [string, Operation][] {
  const action = DIRECTIONS[kind]
  // Exposures are what scripts wait for; OCPS only hears what has been ingested.
  if (action === undefined || (kind === 'heard' && name !== 'imageInOODS')) return []
  const answer = kind === 'command' ? 'ack' : kind === 'question' ? `${name}.answer` : null
  return [
    [
      name,
      {
        action,
        summary: about,
        channel: channel(name),
        messages: [{ $ref: `#/channels/${name}/messages/${name}` }],
        ...(answer !== null && {
          reply: { channel: channel(INBOX), messages: [{ $ref: `#/channels/${INBOX}/messages/${answer}` }] },
        }),
      },
    ],
  ]
}

function isReply(kind: Kind): boolean {
  return kind === 'acknowledgement' || kind === 'answer'
}

function channel(name: string): Ref {
  return { $ref: `#/channels/${name}` }
}

function message(name: string): Ref {
  return { $ref: `#/components/messages/${name}` }
}

function messageOf({ name, kind, about }: Described): object {
  const headers = headersOf(name, kind)
  return {
    name,
    summary: about,
    ...(headers !== null && { headers: { $ref: `#/components/schemas/${headers}` } }),
    payload: { $ref: `#/components/schemas/${name}` },
  }
}

function headersOf(name: string, kind: Kind): keyof typeof HEADERS | null {
  if (kind === 'command') return 'commandHeaders'
  if (kind === 'acknowledgement') return 'ackHeaders'
  return kind === 'event' && name !== 'heartbeat' && name !== 'logMessage' ? 'eventHeaders' : null
}

const WORD = { type: 'string', pattern: '^[\\x21-\\x7E]{1,128}$' }
const HEADERS = {
  commandHeaders: {
    type: 'object',
    properties: {
      'Nats-Msg-Id': {
        ...WORD,
        description:
          'The key of exactly-once: the same message id twice is one execution and the same answer. One is made up where there is none',
      },
      'Ocps-Identity': { ...WORD, description: 'Who asks; anonymous where it is not said' },
    },
  },
  ackHeaders: {
    type: 'object',
    properties: {
      'Ocps-Identity': { type: 'string', description: 'The instance that answers; absent where the server does' },
    },
  },
  eventHeaders: {
    type: 'object',
    required: ['Nats-Msg-Id'],
    properties: {
      'Nats-Msg-Id': {
        type: 'string',
        description: '<instance>:<journal entry>.<place>; what is said again has the same',
      },
    },
  },
}

const ENTRIES = {
  name: 'entries',
  summary: 'Journal entries {n, at, door, from, what}, one JSON document per line',
  contentType: 'application/x-ndjson',
  payload: { type: 'string' },
}

/** What has an id of its own is written once and referred to. */
const SHARED = { DataId: dataId, Metric: metric, Dataset: dataset, Outcome: outcome }

function schemasOf(messages: readonly Described[]): Record<string, object> {
  const said = messages.filter(({ kind }) => isSaid(kind))
  const shared = Object.entries(SHARED).map(([name, schema]) => ({ name, schema }))
  return {
    ...converted(
      messages.filter(({ kind }) => !isSaid(kind)),
      () => {},
    ),
    ...converted([...shared, ...said], bearNewFields),
  }
}

function converted(
  all: readonly Pick<Described, 'name' | 'schema'>[],
  override: typeof bearNewFields,
): Record<string, object> {
  const registry = z.registry<{ id: string }>()
  // One schema may serve several messages: each is given one of its own, unless it is referred to by its id.
  for (const { name, schema } of all) registry.add(Object.hasOwn(SHARED, name) ? schema : schema.clone(), { id: name })
  const { schemas } = z.toJSONSchema(registry, {
    uri: id => `#/components/schemas/${id}`,
    target: 'draft-07',
    io: 'input',
    override,
  })
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _schema, $id: _id, ...schema }]) => [name, schema]),
  )
}
