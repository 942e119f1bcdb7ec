import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { actionKinds } from '../../../shared/core/action.ts';
import { callbackSides, findProvider, providers } from '../../../shared/providers/registry.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Our own files and packages whose code is in a bundle that imports this one name from the registry. */
async function bundledWith(name: string): Promise<readonly string[]> {
  const result = await build({
    stdin: {
      contents: `import { ${name} } from './shared/providers/registry.ts'; console.log(${name});`,
      resolveDir: root,
      loader: 'ts',
    },
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  return Object.values(result.metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
}

describe('the registry', () => {
  test('has each provider once, with the same receiving half in both lists', () => {
    expect(new Set(providers.map(({ id }) => id)).size).toBe(providers.length);
    expect(callbackSides).toEqual(providers.map(({ callbacks }) => callbacks));
    for (const { id, callbacks } of providers) expect(callbacks.id).toBe(id);
  });

  test('finds a provider by its id, and none by any other name', () => {
    for (const provider of providers) expect(findProvider(provider.id)).toBe(provider);
    for (const id of ['', 'constructor', '__proto__', 'EIOTCLUB']) expect(findProvider(id)).toBeNull();
  });

  test('says for each kind of action whether a provider has it', () => {
    for (const { planSchemas } of providers) {
      expect(Object.keys(planSchemas).sort()).toEqual([...actionKinds].sort());
    }
  });

  test('gives the receiver its half without clients and undici', async () => {
    const files = await bundledWith('callbackSides');
    expect(files.some((path) => path.endsWith('linksfield-csss/callback-wire.ts'))).toBe(true);
    expect(files.filter((path) => /-client\.ts$|node_modules\/undici\//.test(path))).toEqual([]);
    // The same question about the whole list must see them, or the line above proves nothing.
    const whole = await bundledWith('providers');
    expect(whole.some((path) => path.includes('node_modules/undici/'))).toBe(true);
  });
});
