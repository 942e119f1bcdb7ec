import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export interface LambdaProcess {
  /** From the start of the import to its end: parse, clients, stage. */
  readonly initMs: number;
  /** Node's own modules that the import loaded, as Node calls them inside. */
  readonly nodeModules: readonly string[];
  /** Lines on standard output so far, as they are. */
  readonly lines: readonly string[];
  invoke(event: unknown, leftMs: number): Promise<unknown>;
  stop(): Promise<void>;
}

const program = fileURLToPath(new URL('./lambda-child.ts', import.meta.url));
const answerSchema = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.string().optional(),
});

/** Runs a built bundle in a process that has this environment and nothing else. Rejects when it does not come up. */
export async function startLambda(
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<LambdaProcess> {
  const child = fork(program, [`${folder}/index.mjs`], { env: { ...env }, execArgv: [], silent: true });
  const lines: string[] = [];
  const errors: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').filter(Boolean)));
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const first = await Promise.race([
    new Promise<unknown>((resolve) => child.once('message', resolve)),
    ended.then((code) => Promise.reject(new Error(`the bundle ended with code ${code}: ${errors.join('')}`))),
  ]);
  const { initMs, nodeModules } = z
    .object({ initMs: z.number(), nodeModules: z.array(z.string()) })
    .parse(first);
  let calls = 0;
  return {
    initMs,
    nodeModules,
    lines,
    invoke: (event, leftMs) => {
      calls += 1;
      const id = calls;
      return new Promise((resolve, reject) => {
        const listen = (message: unknown): void => {
          const answer = answerSchema.parse(message);
          if (answer.id !== id) return;
          child.off('message', listen);
          if (answer.error === undefined) resolve(answer.result);
          else reject(new Error(answer.error));
        };
        child.on('message', listen);
        child.send({ id, event, leftMs });
      });
    },
    stop: async () => {
      child.disconnect();
      child.kill();
      await ended;
    },
  };
}
