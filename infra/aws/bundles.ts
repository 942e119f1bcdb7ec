import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild, type Plugin } from 'esbuild';
import { leftOut, methodsInUse, shapesInUse } from './left-out.ts';

/** Functions that are deployed; a new one is a word here and its wiring in service-stack.ts. */
export const functionNames = ['receive', 'decide', 'act', 'sweep', 'reconcile'] as const;
export type FunctionName = (typeof functionNames)[number];

export interface Bundle {
  /** Folder with index.mjs, its source map and, where it needs one, stage.json. */
  readonly folder: string;
  /** Size of index.mjs. */
  readonly bytes: number;
  /** Files that went into it, relative to the project, with the bytes that each takes. */
  readonly inputs: Readonly<Record<string, number>>;
}

/** The JSON that lies beside a bundle as stage.json; null where the function needs none. */
export type StageFiles = Readonly<Record<FunctionName, unknown>>;

const root = fileURLToPath(new URL('../../', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));

/**
 * Builds every function into a folder of its own under `folder`. The same sources give the same bytes wherever the
 * project lies, so that a deployment without a change changes nothing.
 */
export async function buildBundles(
  folder: string,
  stageFiles: StageFiles,
): Promise<Readonly<Record<FunctionName, Bundle>>> {
  const build = (name: FunctionName): Promise<Bundle> =>
    buildBundle(name, join(folder, name), stageFiles[name]);
  const [receive, decide, act, sweep, reconcile] = await Promise.all([
    build('receive'),
    build('decide'),
    build('act'),
    build('sweep'),
    build('reconcile'),
  ]);
  return { receive, decide, act, sweep, reconcile };
}

async function buildBundle(name: FunctionName, folder: string, stageFile: unknown): Promise<Bundle> {
  const entry = `functions/${name}/handler.ts`;
  const result = await esbuild({
    absWorkingDir: root,
    entryPoints: [entry],
    // A made-up place inside the project: paths in the source map are relative to it, and so the same everywhere.
    outfile: `dist/${name}/index.mjs`,
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    minify: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
    // How undici is built into Node: without its second, experimental HTTP parser. Source: undici 8, package.json, build:node.
    define: { esbuildDetection: 'true' },
    // CommonJS packages inside (undici) call require for Node's own modules.
    banner: {
      js: "import{createRequire as createRequireOfBundle}from'node:module';const require=createRequireOfBundle(import.meta.url);",
    },
    plugins: [
      shakenZod,
      plainBuiltins,
      lambdaCredentials,
      versionOnly,
      leftOut,
      shapesInUse,
      methodsInUse,
      name === 'decide' ? withoutHttpClient : httpClientOnly,
    ],
    // Loaded by the SDK only for operations that stream events; no function calls one.
    external: ['@smithy/core/event-streams'],
  });
  mkdirSync(folder, { recursive: true });
  for (const file of result.outputFiles) {
    writeFileSync(join(folder, file.path.endsWith('.map') ? 'index.mjs.map' : 'index.mjs'), file.contents);
  }
  if (stageFile !== null) writeFileSync(join(folder, 'stage.json'), JSON.stringify(stageFile));
  const [, code] = Object.entries(result.metafile.outputs).find(([path]) => path.endsWith('.mjs')) ?? [];
  if (code === undefined) throw new Error(`esbuild made no code of ${entry}`);
  const inputs = Object.fromEntries(
    Object.entries(code.inputs).map(([path, { bytesInOutput }]) => [path, bytesInOutput]),
  );
  return { folder, bytes: code.bytes, inputs };
}

/**
 * `import { z }` takes zod's whole namespace object along, 48 languages included; `import * as z` is the same object
 * to the code and lets esbuild drop what is not used. Saves 350 KB of each bundle. Making a schema changes nothing
 * else, which esbuild can't know: marked as pure, those that a function never reads go away too.
 */
const shakenZod: Plugin = {
  name: 'shaken-zod',
  setup(pluginBuild) {
    pluginBuild.onLoad({ filter: /[\\/](functions|shared)[\\/].*\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8')
        .replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';")
        .replaceAll(/(?<![\w$.])z(?=\s*\.\s*[a-z]\w*\()/g, '/* @__PURE__ */ z'),
    }));
  },
};

/** Inside Lambda credentials come from the environment alone; profiles, SSO and instance metadata stay out. */
const lambdaCredentials: Plugin = {
  name: 'lambda-credentials',
  setup(pluginBuild) {
    const path = join(here, 'lambda-credentials.ts');
    pluginBuild.onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, () => ({ path }));
  },
};

/** The SDK's clients read their whole package.json for the version that they tell AWS. */
const versionOnly: Plugin = {
  name: 'version-only',
  setup(pluginBuild) {
    pluginBuild.onLoad({ filter: /@aws-sdk[\\/]client-[^\\/]+[\\/]package\.json$/ }, ({ path }) => {
      const { name, version } = JSON.parse(readFileSync(path, 'utf8'));
      return { loader: 'json', contents: JSON.stringify({ name, version }) };
    });
  },
};

/**
 * Importing one of Node's own modules reads every export of it, and so runs what Node would else load when it is asked
 * for: fetch and WebSocket for node:http alone take a fifth of a cold start. Here an imported name reads that export,
 * and no earlier than it is used where Node computes it; `await import()` takes the module itself, which reads none.
 */
const plainBuiltins: Plugin = {
  name: 'plain-builtins',
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^node:/ }, ({ path, kind }) => {
      if (kind === 'require-call') return null;
      return { path, namespace: kind === 'dynamic-import' ? 'whole-builtin' : 'builtin' };
    });
    pluginBuild.onResolve({ filter: /^computed:/ }, ({ path }) => ({
      path: path.slice('computed:'.length),
      namespace: 'computed',
      sideEffects: false,
    }));
    pluginBuild.onLoad({ filter: /.*/, namespace: 'whole-builtin' }, ({ path }) => ({
      contents: `module.exports = ${takeBuiltin(path)};`,
    }));
    pluginBuild.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
      const { plain, computed } = exportsOf(path);
      const reads = plain.map((name) => `export const ${name} = /* @__PURE__ */ (() => builtin.${name})();`);
      const lazy = `export { ${computed.join(', ')} } from 'computed:${path}';`;
      return {
        contents: `const builtin = ${takeBuiltin(path)};\nexport default builtin;\n${lazy}\n${reads.join('\n')}`,
      };
    });
    // Of CommonJS, because its exports are read where they are used.
    pluginBuild.onLoad({ filter: /.*/, namespace: 'computed' }, ({ path }) => {
      const getters = exportsOf(path).computed.map((name) => `get ${name}() { return builtin.${name}; }`);
      return {
        contents: `const builtin = ${takeBuiltin(path)};\nmodule.exports = { ${getters.join(', ')} };`,
      };
    });
  },
};

const takeBuiltin = (path: string): string =>
  `/* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(path)})`;

/** The names that a module of Node's exports, apart from those that it computes when they are read. */
function exportsOf(path: string): Readonly<Record<'plain' | 'computed', readonly string[]>> {
  const named = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(path) ?? {})).filter(
    ([name, { enumerable }]) => enumerable && /^[a-zA-Z]\w*$/.test(name),
  );
  const names = (isComputed: boolean): readonly string[] =>
    named.filter(([, { get }]) => (get !== undefined) === isComputed).map(([name]) => name);
  return { plain: names(false), computed: names(true) };
}

/** Only the part of undici that is used, see the file. */
const httpClientOnly: Plugin = {
  name: 'http-client-only',
  setup(pluginBuild) {
    const path = join(here, 'bundled-undici.cjs');
    pluginBuild.onResolve({ filter: /^undici$/ }, () => ({ path }));
  },
};

/** decide reads the providers' plan schemas and may call nobody: its bundle has no HTTP client to do it with. */
const withoutHttpClient: Plugin = {
  name: 'without-http-client',
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    pluginBuild.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
      loader: 'js',
      contents: 'module.exports = {};',
    }));
  },
};
