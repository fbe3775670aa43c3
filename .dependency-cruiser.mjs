// Who may import what (DESIGN: decide inside, act outside). A folder may use itself, what is listed for it, and Node.
const may = {
  '^machines/': ['^machines/', 'xstate'],
  '^src/contract/': ['^src/contract/', '^machines/domain/', 'zod'],
  '^src/bus/': ['^src/bus/', '^src/(log|lockFile|processes)\\.ts$', '@nats-io/'],
  '^src/journal/': ['^src/journal/', '^src/bus/port\\.ts$', '^machines/domain/'],
  // Knows nothing of OCPS: it steps any XState machine.
  '^src/stepping/': ['^src/stepping/', 'xstate'],
  '^src/engine/': ['^src/engine/', '^src/stepping/', '^machines/', '^src/contract/', '^src/journal/(entry|port)\\.ts$', '^src/(log|observer)\\.ts$', 'xstate'],
  '^src/replay/': ['^src/replay/', '^src/night/inWords\\.ts$', '^src/engine/(world|checkpoint|digest)\\.ts$', '^machines/', '^src/contract/', '^src/journal/', '^src/log\\.ts$'],
  // Deployment facts, and the one way to NATS.
  '^src/settings/': ['^src/settings/', '^src/bus/(nats|nats-credentials|nats-options|port|serverUrl)\\.ts$', '^src/contract/', '^src/userError\\.ts$', 'yaml', 'zod'],
  // The read model: what people ask, folded from the journal.
  '^src/night/': ['^src/night/', '^src/settings/', '^src/engine/', '^src/stepping/', '^machines/', '^src/contract/', '^src/journal/', '^src/bus/', '^src/(log|userError)\\.ts$', 'xstate'],
  '^src/jobFiles/': ['^src/jobFiles/'],
  '^src/executor/': ['^src/executor/', '^src/jobFiles/', '^machines/ports\\.ts$', '^machines/domain/', '^src/(log|observer|parts|processes|userError)\\.ts$', 'zod'],
  // Parts: what the machines say to the outside, the wire's words, and the port of an instance; no other part, and nothing of the engine.
  '^src/doors/': ['^src/doors/', '^machines/ports\\.ts$', '^machines/domain/', '^src/contract/', '^src/bus/port\\.ts$', '^src/(log|observer|parts)\\.ts$', 'zod'],
  '^src/sinks/': ['^src/sinks/', '^machines/ports\\.ts$', '^machines/domain/', '^src/contract/', '^src/bus/port\\.ts$', '^src/(log|observer|parts)\\.ts$', 'zod'],
  '^src/locators/': ['^src/locators/', '^machines/ports\\.ts$', '^machines/domain/', '^src/contract/', '^src/bus/port\\.ts$', '^src/(log|observer|parts)\\.ts$', 'zod'],
  // Ended jobs on disk, made from what is announced.
  '^src/records/': ['^src/records/', '^machines/ports\\.ts$', '^machines/domain/', '^src/contract/', 'node-sqlite3-wasm'],
  // What is asked for over HTTP.
  '^src/http/': ['^src/http/', '^src/(observer|userError)\\.ts$', '^machines/domain/', 'prom-client'],
  '^src/config/': ['^src/config/', '^machines/domain/', '^src/contract/', 'yaml', 'zod'],
  '^src/client/': ['^src/client/', '^src/settings/', '^src/bus/(port|serverUrl)\\.ts$', '^src/contract/', '^machines/domain/', '^src/userError\\.ts$'],
  '^src/inspector/': ['^src/inspector/', '^src/settings/', '^src/night/', '^src/jobFiles/', '^src/stepping/', '^src/client/', '^src/contract/', '^machines/', '^src/bus/', '^src/journal/', '^src/engine/(world|timers|checkpoint)\\.ts$', '^src/userError\\.ts$', 'xstate', 'elkjs', 'preact', '@preact/signals', 'uplot', 'vite', 'ws'],
  '^src/pipelines/': ['^src/pipelines/', '^src/sim/random\\.ts$', 'pngjs'],
  '^src/sim/': ['^src/sim/', '^src/settings/', '^src/client/', '^src/contract/', '^src/bus/', '^src/pipelines/', '^machines/domain/', 'zod', '^src/log\\.ts$', '^src/userError\\.ts$'],
}

const escape = text => (text.startsWith('^') ? text : `node_modules/${text}`)

export default {
  forbidden: [
    ...Object.entries(may).map(([from, to]) => ({
      name: `from ${from}`,
      severity: 'error',
      from: { path: from },
      to: { pathNot: [...to.map(escape), '^(node:)?[a-z_/]+$'], dependencyTypesNot: ['core'] },
    })),
    { name: 'only src/bus/nats*.ts knows the NATS client', severity: 'error', from: { pathNot: '^src/bus/nats' }, to: { path: 'node_modules/@nats-io' } },
    { name: 'only src/settings connects', severity: 'error', from: { path: '^src/', pathNot: '^src/(bus|settings)/' }, to: { path: '^src/bus/nats\\.ts$' } },
    { name: 'nobody imports an instance but those who start one', severity: 'error', from: { path: '^src/', pathNot: '^src/(cli|sim|demo|instance)/' }, to: { path: '^src/instance/' } },
    // Within a folder of parts: a part is a file or a folder of its own.
    { name: 'a door imports no other door', severity: 'error', from: { path: '^src/doors/(nats|execute)\\.ts$' }, to: { path: '^src/doors/(nats|execute)\\.ts$' } },
    { name: 'a sink imports no other sink', severity: 'error', from: { path: '^src/sinks/([^/]+)/' }, to: { path: '^src/sinks/', pathNot: '^src/sinks/$1/' } },
    { name: 'no circles, types included', severity: 'error', from: { path: '^(src|machines)/' }, to: { circular: true } },
    { name: 'nothing imports the command line', severity: 'error', from: { path: '^(src|machines)/', pathNot: '^src/cli/' }, to: { path: '^src/cli/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // The page is TSX, which this parser does not read; Vite refuses what a browser cannot have.
    exclude: { path: '^dist/|^src/inspector/page/' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'], extensions: ['.ts', '.js', '.mjs', '.json'] },
  },
}
