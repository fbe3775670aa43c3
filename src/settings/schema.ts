/**
 * Settings: what a process has to know of the place it runs in, such as the server it connects to and where its disk
 * is. Every key is declared here once, with its default, its sentence, its variable and its option. Nothing of it is
 * journaled or published, and no key holds a secret: secrets are files.
 */
import { z } from 'zod'
import { masked, parseUrl } from '../bus/serverUrl.ts'
import { INSTANCE_PATTERN } from '../contract/subjects.ts'

/** A cluster has three or five servers. */
const SERVERS_MAX = 32
const PATH_MAX = 4_096

const text = z.string().max(PATH_MAX)
const url = text.superRefine((value, context) => {
  if (!isUrl(value))
    context.addIssue(`${JSON.stringify(masked(value))} is not of the form nats://host:port or tls://host:port`)
})
/** How long events are kept unless a setting says otherwise, days. */
export const EVENTS_DAYS = 7
const DAYS_MAX = 3_650
const DAYS_RULE = `a whole number of days from 1 to ${DAYS_MAX} is expected`
const PORT_RULE = 'a port is a number from 0 to 65535'
const file = text.min(1).nullable().default(null)

/** What a part understands is the part's own affair: it checks its settings when it is opened. */
function parts(kind: string, does: string) {
  return z
    .record(z.string(), z.union([z.literal(false), z.record(z.string(), z.unknown())]))
    .default({})
    .meta({
      description: `Settings of the ${kind} that ${does}, by name; \`false\` leaves one out. Only in a file; paths in them are absolute`,
    })
}

/** How NATS is reached: what `connect` needs. */
export const natsSchema = z.strictObject({
  servers: z.array(url).max(SERVERS_MAX).default([]).meta({
    description:
      'The servers of one cluster, with commas between them in a variable or option. `serve` starts a server of its own if there is none; other commands look for the one of an `ocps serve` started here or above',
    env: 'NATS_URL',
    flag: '--url',
  }),
  credentialsFile: file.meta({
    description: 'A credentials file, as nsc writes it: JWT and nkey seed of a user',
    env: 'OCPS_NATS_CREDS',
    flag: '--creds',
    isPath: true,
  }),
  nkeyFile: file.meta({
    description: 'A file with the nkey seed of a user',
    env: 'OCPS_NATS_NKEY',
    flag: '--nkey',
    isPath: true,
  }),
  user: text
    .min(1)
    .nullable()
    .default(null)
    .meta({ description: 'A user whose password is in `nats.passwordFile`', env: 'OCPS_NATS_USER' }),
  passwordFile: file.meta({
    description: 'A file whose first line is the password of `nats.user`',
    env: 'OCPS_NATS_PASSWORD_FILE',
    isPath: true,
  }),
  tls: z
    .strictObject({
      caFile: file.meta({
        description: 'Certificates (PEM) that the certificate of the server must be signed by; also turns TLS on',
        env: 'OCPS_NATS_CA',
        flag: '--tlsca',
        isPath: true,
      }),
      certFile: file.meta({
        description: 'Our own certificate (PEM), for a server that asks for one',
        env: 'OCPS_NATS_CERT',
        flag: '--tlscert',
        isPath: true,
      }),
      keyFile: file.meta({
        description: 'The private key (PEM) of `nats.tls.certFile`',
        env: 'OCPS_NATS_KEY',
        flag: '--tlskey',
        isPath: true,
      }),
      handshakeFirst: z.boolean().default(false).meta({
        description: 'Begin with TLS, for a server configured with `handshake_first`; false unless given',
        env: 'OCPS_NATS_TLS_FIRST',
      }),
    })
    .prefault({}),
  inboxPrefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'expected a subject without wildcards, such as _INBOX_ocps')
    .nullable()
    .default(null)
    .meta({
      description: 'The subject below which answers arrive, for a user with narrow permissions; `_INBOX` unless given',
      env: 'OCPS_NATS_INBOX_PREFIX',
    }),
})

export const settingsSchema = z
  .strictObject({
    instance: z
      .string()
      .regex(INSTANCE_PATTERN, 'the name of an instance must be 1 to 32 letters, digits, _ or -')
      .default('LATISS')
      .meta({
        description: 'The instance that `serve` runs and the other commands ask; LATISS unless given',
        env: 'OCPS_INSTANCE',
        flag: '--instance',
      }),
    site: text.default('').meta({
      description: 'The site: the layer `_<site>.yaml` of the configuration is read, too',
      env: 'LSST_SITE',
      flag: '--site',
    }),
    configDir: file.meta({
      description:
        'The directory of the configuration; `./config` unless given, if there is one, else what comes with OCPS',
      env: 'OCPS_CONFIG_DIR',
      flag: '--config',
      isPath: true,
    }),
    dataDir: text.min(1).default('.ocps').meta({
      description: "Jobs' files, the compiled launcher and the store of a server of our own; `.ocps` unless given",
      env: 'OCPS_DATA_DIR',
      flag: '--data',
      isPath: true,
    }),
    logFile: file.meta({
      description:
        'The log of `serve`, opened again on SIGHUP; standard error unless given, except where that is a terminal',
      env: 'OCPS_LOG_FILE',
      flag: '--log',
      isPath: true,
    }),
    promise: z.enum(['power', 'process']).nullable().default(null).meta({
      description:
        'What an accepted command survives: `power` or `process`. Unless given: with a server that is named, what that one is configured for; with our own, power where it can',
      env: 'OCPS_PROMISE',
      flag: '--promise',
    }),
    allowOldServer: z.boolean().default(false).meta({
      description: 'Use a nats-server older than 2.10 although other machines reach it; false unless given',
      env: 'OCPS_ALLOW_OLD_SERVER',
      flag: '--allow-old-server',
    }),
    nats: natsSchema.prefault({}),
    http: z
      .string()
      .regex(/^(\[[0-9A-Fa-f:]+\]|[^\s:/]+):\d{1,5}$/, 'HOST:PORT is expected, such as 127.0.0.1:9090')
      .nullable()
      .default(null)
      .meta({
        description:
          'Where `serve` answers `/health/live`, `/health/ready` and `/metrics` (Prometheus), as HOST:PORT; nowhere unless given',
        env: 'OCPS_HTTP',
        flag: '--http',
      }),
    httpTokenFile: file.meta({
      description: 'A file whose first line is the bearer token asked for there; needed for any address but loopback',
      env: 'OCPS_HTTP_TOKEN_FILE',
      isPath: true,
    }),
    retention: z
      .strictObject({
        eventsDays: z
          .int(DAYS_RULE)
          .min(1, DAYS_RULE)
          .max(DAYS_MAX, DAYS_RULE)
          .default(EVENTS_DAYS)
          .meta({
            description: `How long events, and so answers about ended jobs and groups, are kept, days; ${EVENTS_DAYS} unless given`,
            env: 'OCPS_EVENTS_DAYS',
          }),
      })
      .prefault({}),
    inspector: z
      .strictObject({
        port: z.int(PORT_RULE).min(0, PORT_RULE).max(65_535, PORT_RULE).nullable().default(null).meta({
          description: 'Where `serve` has the page of the inspector, 0 for any free port; no page unless given',
          env: 'OCPS_INSPECTOR_PORT',
          flag: '--inspector',
        }),
        host: text.min(1).default('127.0.0.1').meta({
          description: 'The address its page listens on; any but loopback asks for a token. 127.0.0.1 unless given',
          env: 'OCPS_INSPECTOR_HOST',
          flag: '--inspector-host',
        }),
        hostNames: z.array(text.min(1)).default([]).meta({
          description: 'Names its page is asked by, such as that of a reverse proxy',
          env: 'OCPS_INSPECTOR_HOST_NAMES',
          flag: '--inspector-host-name',
        }),
        allowCommands: z.boolean().default(false).meta({
          description: 'Let its page send commands; false unless given',
          env: 'OCPS_INSPECTOR_ALLOW_COMMANDS',
          flag: '--allow-commands',
        }),
      })
      .prefault({}),
  })
  .extend({
    doors: parts('doors', 'commands come in by'),
    locators: parts('locators', 'data are looked for by'),
    executors: parts('executors', 'jobs are run by'),
    sinks: parts('sinks', 'events and telemetry go to'),
  })
  .meta({ title: 'OCPS settings' })

export type Settings = z.output<typeof settingsSchema>
export type NatsSettings = Settings['nats']

/** One key, such as `nats.tls.caFile`, with what its schema says about it. */
export interface Leaf {
  readonly key: string
  readonly schema: z.ZodType
  readonly about: string
  readonly env: string | null
  readonly flag: string | null
  /** A path is made absolute: in a file from its own directory on, elsewhere from where the process was started. */
  readonly isPath: boolean
}

export const LEAVES: readonly Leaf[] = leavesOf(settingsSchema.shape, '')

/** Names the settings file; itself no setting. */
export const SETTINGS_VARIABLE = 'OCPS_SETTINGS'

function leavesOf(shape: Readonly<Record<string, z.core.$ZodType>>, path: string): Leaf[] {
  return Object.entries(shape).flatMap(([name, schema]): Leaf[] => {
    const key = `${path}${name}`
    if (schema instanceof z.ZodPrefault) {
      const inner = schema.unwrap()
      if (inner instanceof z.ZodObject) return leavesOf(inner.shape, `${key}.`)
    }
    if (!(schema instanceof z.ZodType)) throw new Error(`invariant: ${key} has no schema`)
    const { description = '', env, flag, isPath } = schema.meta() ?? {}
    return [
      {
        key,
        schema,
        about: description,
        env: typeof env === 'string' ? env : null,
        flag: typeof flag === 'string' ? flag : null,
        isPath: isPath === true,
      },
    ]
  })
}

function isUrl(value: string): boolean {
  try {
    parseUrl(value)
    return true
  } catch {
    return false
  }
}
