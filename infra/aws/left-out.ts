import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));
const smithy = 'node_modules/@smithy/core/dist-es/submodules';
const undici = 'node_modules/undici/lib';

/**
 * Files of zod, the SDK and undici that no function can reach. Whatever they export throws when it is called after
 * all, and test/infra/bundles.test.ts runs the whole flow through the bundles.
 */
const unreachable: readonly string[] = [
  // `simhook schema` alone writes schemas as JSON Schema. The getters that tell a schema's limits use it too.
  'node_modules/zod/v4/core/json-schema-processors.js',
  'node_modules/zod/v4/core/to-json-schema.js',
  // Asked for in "auto" mode alone, and there only without AWS_REGION. Lambda sets it, and readEnv demands it.
  `${smithy}/config/config-resolver/regionConfig/getInstanceMetadataRegion.js`,
  // Called for the service "s3".
  `${smithy}/endpoints/middleware-endpoint/service-customizations/s3.js`,
  // For a Node without OpenSSL. Lambda's has it.
  `${smithy}/checksum/sha256/Sha256Js.js`,
  `${smithy}/checksum/md5/Md5Js.js`,
  // http-client.ts allows no HTTP/2. Loading it loads Node's http2.
  `${undici}/dispatcher/client-h2.js`,
  // For processors whose WebAssembly has no SIMD: not x64, not arm64.
  `${undici}/llhttp/llhttp-wasm.js`,
  // Forms as bodies; http-client.ts sends text.
  `${undici}/web/fetch/body.js`,
  `${undici}/web/fetch/formdata.js`,
  `${undici}/web/webidl/index.js`,
];

/** Files that are reached, with what stands in their place: as much as Lambda can need of them. */
const shortened: Readonly<Record<string, string>> = {
  // Only operations that ask for their endpoint use it; no operation of DynamoDB is declared so.
  'node_modules/@aws-sdk/endpoint-cache/dist-es/EndpointCache.js': 'export class EndpointCache {}',
  // ~/.aws does not exist in Lambda. Asking for it loads node:fs/promises, which loads Node's readline and watchers.
  [`${smithy}/config/shared-ini-file-loader/loadSharedConfigFiles.js`]: `
    export { CONFIG_PREFIX_SEPARATOR } from './constants';
    export const loadSharedConfigFiles = async () => ({ configFile: {}, credentialsFile: {} });`,
  // As the global `crypto` does it, but without loading Node's Web Crypto for it.
  [`${smithy}/serde/uuid/v4.js`]: `
    import { randomUUID } from 'node:crypto';
    export const bindV4 = () => () => randomUUID();`,
};

/** Puts those stubs in. Fails the build for a file that is no longer part of its library. */
export const leftOut: Plugin = {
  name: 'left-out',
  setup(pluginBuild) {
    const missing = new Set([...unreachable, ...Object.keys(shortened)]);
    let callsProviders = false;
    pluginBuild.onLoad(
      { filter: /[\\/]node_modules[\\/](zod|@smithy|@aws-sdk|undici)[\\/].*\.js$/ },
      ({ path }) => {
        const file = path.slice(root.length).replaceAll('\\', '/');
        callsProviders ||= file.startsWith(undici);
        if (!missing.delete(file)) return null;
        return { loader: 'js', contents: shortened[file] ?? throwing(file, readFileSync(path, 'utf8')) };
      },
    );
    pluginBuild.onEnd(() => ({
      errors: [...missing]
        .filter((file) => callsProviders || !file.startsWith(undici))
        .map((file) => ({
          text: `${file} is not part of the bundle any more: see where it went, and mend infra/aws/left-out.ts`,
        })),
    }));
  },
};

/**
 * A module with the same exports, each of which throws; one of CommonJS is a function that does. A name that this
 * misses is missed by esbuild, loudly.
 */
function throwing(file: string, source: string): string {
  const declared = source.matchAll(/^export (?:async )?(?:const|function|class) (\w+)/gm);
  const listed = source.matchAll(/^export \{ (?:\w+ as )?(\w+) \};$/gm);
  const names = [...declared, ...listed].map(([, name]) => `leftOut as ${name}`);
  const text = JSON.stringify(`${file} is left out of the bundle, see infra/aws/left-out.ts`);
  const exported = names.length === 0 ? 'module.exports = leftOut;' : `export { ${names.join(', ')} };`;
  return `function leftOut() { throw new Error(${text}); }\n${exported}`;
}

/**
 * The SDK describes all shapes of a service in one file, of which our few operations need a tenth. Its errors are
 * registered, which keeps each of them and its class: one that no source of ours names keeps its name and message
 * without a class, as any error does that this SDK does not know. Other shapes stay where a name in brackets is the
 * key of a trait, which might do anything for all that esbuild knows.
 */
export const shapesInUse: Plugin = {
  name: 'shapes-in-use',
  setup(pluginBuild) {
    const named = new Set(ourSources().match(/\b[A-Z]\w+\b/g));
    const schemas = /@aws-sdk[\\/]client-[^\\/]+[\\/]dist-es[\\/]schemas[\\/]schemas_0\.js$/;
    pluginBuild.onLoad({ filter: schemas }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const registration = /^n0_registry\.registerError\(\w+\$, (\w+)\);$/gm;
      const shape = /^((?:export )?(?:var|const) \w+\$? = )(\[.*?\]);$/gms;
      if (source.search(registration) < 0 || source.search(shape) < 0) {
        throw new Error(`${path} is written in another way now: mend shapesInUse in infra/aws/left-out.ts`);
      }
      const contents = source
        .replaceAll(registration, (line, name: string) => (named.has(name) ? line : ''))
        .replaceAll(shape, '$1/* @__PURE__ */ (() => $2)();');
      return { loader: 'js', contents };
    });
  },
};

/**
 * zod's schemas have a method for each check and format, and so take along all that could be called. Here the methods
 * go that neither our sources nor zod itself call; calling one of them fails as any method does that does not exist.
 * zod's own tools come by a way that lets esbuild see which of them are used.
 */
export const methodsInUse: Plugin = {
  name: 'methods-in-use',
  setup(pluginBuild) {
    pluginBuild.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]classic[\\/]schemas\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const method = /^ {4}(?:async )?(\w+)\([^\n]*\) \{\n(?: {8}[^\n]*\n)*? {4}\},\n/gm;
      const inside = source.matchAll(/(?<!\b(?:core|checks|parse|util|iso))\??\.(\w+)/g);
      const ours = ourSources().matchAll(/\.(\w+)\(/g);
      const called = new Set([...inside, ...ours].map(([, name]) => name));
      const unused = [...source.matchAll(method)].filter(([, name]) => !called.has(name));
      const tools = 'import { util } from "../core/index.js";';
      if (unused.length < 40 || !source.includes(tools)) {
        throw new Error(`${path} is written in another way now: mend methodsInUse in infra/aws/left-out.ts`);
      }
      const used = unused.reduce((text, [whole]) => text.replace(whole, ''), source);
      const contents = used
        .replace(tools, 'import * as util from "../core/util.js";')
        .replaceAll(/\bcore\.util\./g, 'util.');
      return { loader: 'js', contents };
    });
  },
};

/** Everything that can become part of a function. */
function ourSources(): string {
  return globSync(['shared/**/*.ts', 'functions/**/*.ts'], { cwd: root })
    .map((file) => readFileSync(`${root}${file}`, 'utf8'))
    .join('\n');
}
