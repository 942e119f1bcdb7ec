import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram, runCli } from '../../../infra/ops/cli.ts';
import { quietWorld } from './quiet-world.ts';

function leaves(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

describe('help', () => {
  it.each(leaves(buildProgram(quietWorld().world)).map((path) => [path.join(' '), path] as const))(
    'of %s has an example and ends with 0',
    async (name, path) => {
      const { world: edges, said } = quietWorld();
      expect(await runCli([...path, '--help'], edges)).toBe(0);
      expect(said.out).toMatch(new RegExp(`Examples?:\\n  \\$ .*(npx )?simhook ${name}`));
    },
  );

  it('documents the exit codes', async () => {
    const { world: edges, said } = quietWorld();
    expect(await runCli(['--help'], edges)).toBe(0);
    for (const code of ['0', '1', '2', '3', '4', '5', '130'])
      expect(said.out).toMatch(new RegExp(`\\n {2}${code} {2}`));
  });

  it('is told where a command line has no command, with the code of wrong usage', async () => {
    const { world: edges, said } = quietWorld();
    expect(await runCli([], edges)).toBe(2);
    expect(said.err).toContain('Usage: simhook');
  });

  it('prints the JSON Schema of a stage', async () => {
    const { world: edges, said } = quietWorld();
    expect(await runCli(['schema'], edges)).toBe(0);
    expect(JSON.parse(said.out)).toMatchObject({
      type: 'object',
      required: expect.arrayContaining(['name', 'rules']),
    });
  });
});
