import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { leftOut, methodsInUse, shapesInUse } from '../../infra/aws/left-out.ts';

const bundle = async (contents: string, plugin: typeof leftOut): Promise<string> => {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    mainFields: ['module', 'main'],
    plugins: [plugin],
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
};

/** Takes in every file that something is left out of. */
const everything = `
  import '@aws-sdk/client-sqs';
  import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
  import { z } from 'zod';
  globalThis.kept = DynamoDBClient;
`;

describe('left-out', () => {
  it('fails a build that does not meet one of its files, by name: the library has moved it', async () => {
    const built = bundle("import { z } from 'zod'; globalThis.kept = z.string;", leftOut);
    await expect(built).rejects.toThrow(
      /endpoint-cache\/dist-es\/EndpointCache\.js is not part of the bundle any more/,
    );
    await expect(built).rejects.not.toThrow(/json-schema-processors/);
  });

  it('throws by the name of the file when something in it is called after all', async () => {
    const text = await bundle(`${everything} globalThis.written = z.string().toJSONSchema();`, leftOut);
    const url = `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
    await expect(import(/* @vite-ignore */ url)).rejects.toThrow(
      /node_modules\/zod\/v4\/core\/to-json-schema\.js is left out of the bundle/,
    );
  });

  it('keeps the errors of the SDK that a source names, and no other', async () => {
    const text = await bundle(everything, shapesInUse);
    const registered = (name: string): boolean => text.includes(`registerError(${name}$, ${name})`);
    const names = ['TransactionCanceledException', 'ConditionalCheckFailedException', 'BackupInUseException'];
    expect(names.map(registered)).toEqual([true, true, false]);
  });

  it('keeps the methods of zod that a source calls, and drops formats that none asks for', async () => {
    const text = await bundle("import * as z from 'zod'; globalThis.kept = z.string();", methodsInUse);
    const has = (name: string): boolean => new RegExp(`^ +${name}\\(`, 'm').test(text);
    expect(['startsWith', 'nullable', 'min', 'jwt', 'cidrv6', 'emoji'].map(has)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(text).not.toContain('$ZodCIDRv6');
  });
});
