/**
 * Plays the Lambda runtime for one bundle: imports it, says how long that took, then runs its handler for each
 * message of the parent. What the bundle prints goes to standard output, as in Lambda.
 */
const [bundle = ''] = process.argv.slice(2);
/** Node's own modules that are loaded by now. */
const nodeModules = (): readonly string[] => [...Reflect.get(process, 'moduleLoadList')];
const loadedBefore = new Set(nodeModules());
const before = performance.now();
const loaded: { handler(event: unknown, context: unknown): Promise<unknown> } = await import(bundle);
const initMs = performance.now() - before;
process.send?.({ initMs, nodeModules: nodeModules().filter((name) => !loadedBefore.has(name)) });

process.on(
  'message',
  (message: { readonly id: number; readonly event: unknown; readonly leftMs: number }) => {
    const context = { getRemainingTimeInMillis: () => message.leftMs };
    loaded.handler(message.event, context).then(
      (result) => process.send?.({ id: message.id, result: result ?? null }),
      (error: unknown) => process.send?.({ id: message.id, error: String(error) }),
    );
  },
);
