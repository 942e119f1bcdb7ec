import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { LocalSecrets } from './local-secrets.ts';

/**
 * The provider simulator beside the local system. It runs as a process of its own and is reached over HTTP like a
 * provider; the channel to it only plays the part of the world: SIMs that run low, orders that expire.
 */
export interface SimulatorProcess {
  readonly url: string;
  call(name: string, ...args: readonly unknown[]): Promise<unknown>;
  stop(): Promise<void>;
}

const answerSchema = z.discriminatedUnion('ok', [
  z.object({ id: z.number(), ok: z.literal(true), value: z.unknown() }),
  z.object({ id: z.number(), ok: z.literal(false), error: z.string() }),
]);

const program = fileURLToPath(new URL('../../test/provider-simulator/main.ts', import.meta.url));

/** How long the simulator may take to come up. */
const startTimeoutMs = 30_000;

/** Starts it with the accounts and secrets of this machine. Rejects with one line when it doesn't come up. */
export async function startSimulator(options: {
  readonly secrets: LocalSecrets;
  readonly optionsFile: string;
}): Promise<SimulatorProcess> {
  writeFileSync(options.optionsFile, JSON.stringify(simulatorOptions(options.secrets)), { mode: 0o600 });
  const child = fork(program, [options.optionsFile], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, (answer: z.infer<typeof answerSchema>) => void>();
  child.on('message', (message) => {
    const answer = answerSchema.safeParse(message);
    if (answer.success) waiting.get(answer.data.id)?.(answer.data);
  });
  const url = z.string().parse(await ask(child, waiting, 0, startTimeoutMs));
  let commands = 0;
  return {
    url,
    call: (name, ...args) => {
      commands += 1;
      child.send({ id: commands, call: name, args });
      return ask(child, waiting, commands, startTimeoutMs);
    },
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.disconnect();
      }),
  };
}

function ask(
  child: ChildProcess,
  waiting: Map<number, (answer: z.infer<typeof answerSchema>) => void>,
  id: number,
  timeoutMs: number,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const over = (): void => {
      clearTimeout(timer);
      waiting.delete(id);
      child.off('exit', onExit);
    };
    const onExit = (code: number | null): void => {
      over();
      reject(new Error(`the provider simulator ended with code ${code}`));
    };
    const timer = setTimeout(() => {
      over();
      reject(new Error(`the provider simulator did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.once('exit', onExit);
    waiting.set(id, (answer) => {
      over();
      if (answer.ok) resolve(answer.value);
      else reject(new Error(answer.error));
    });
  });
}

/** The simulator's options, so that both sides hold the same keys. */
function simulatorOptions(secrets: LocalSecrets): object {
  const value = (provider: string, purpose: 'callback' | 'api'): string =>
    secrets[provider]?.[purpose][0]?.value ?? '';
  const keyId = (purpose: 'callback' | 'api'): string =>
    secrets['linksfield-cube']?.[purpose][0]?.keyId ?? '';
  return {
    unknownSims: 'create',
    wallets: {
      eiotclub: { currency: 'USD', balanceMinor: 10_000_000 },
      'linksfield-csss': { currency: 'CNY', balanceMinor: 10_000_000 },
      'linksfield-cube': { currency: 'CNY', balanceMinor: 10_000_000 },
    },
    rateLimits: {
      eiotclub: { perSec: 10 },
      'linksfield-csss': { perSec: 10 },
      'linksfield-cube': { perSec: 10, perDay: 5_000 },
    },
    accounts: {
      eiotclub: {
        appkey: '000001',
        secret: value('eiotclub', 'api'),
        callbackSecret: value('eiotclub', 'callback'),
      },
      csss: {
        accessCode: 'P000270',
        secret: value('linksfield-csss', 'api'),
        callbackSecret: value('linksfield-csss', 'callback'),
      },
      cube: {
        keyId: keyId('api'),
        publicKeyPem: secrets['linksfield-cube']?.publicKey ?? '',
        notificationKeyId: keyId('callback'),
        notificationKey: value('linksfield-cube', 'callback'),
      },
    },
  };
}
