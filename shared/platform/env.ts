import { z } from 'zod';
import { parsedOnce } from '../core/parsed-once.ts';

/** Set by the Lambda runtime itself, so no template may set it. Source: Lambda developer guide, "Defined runtime environment variables". */
const runtimeSchema = z.object({ AWS_REGION: z.string().min(1) });

/**
 * Reads a function's environment once, at init. Throws with a line per variable that is missing or wrong: its name,
 * what is wrong, what to do. Values are not shown, although no secret belongs there.
 */
export function readEnv<Shape extends z.ZodRawShape>(
  functionName: string,
  schema: z.ZodObject<Shape>,
  source: Readonly<Record<string, string | undefined>>,
): z.infer<z.ZodObject<Shape>> & z.infer<typeof runtimeSchema> {
  const own = schema.safeParse(source, parsedOnce);
  const runtime = runtimeSchema.safeParse(source, parsedOnce);
  if (own.success && runtime.success) return { ...own.data, ...runtime.data };
  const issues = [...(own.error?.issues ?? []), ...(runtime.error?.issues ?? [])];
  const lines = issues.map((issue) => {
    const name = String(issue.path[0]);
    const state = source[name] === undefined ? 'is not set' : `is wrong (${issue.message})`;
    return `environment variable ${name} ${state}`;
  });
  throw new Error(
    `${functionName}: ${[...new Set(lines)].join('; ')}. The stack sets it: see functions/${functionName}/env.ts`,
  );
}

/** A variable that holds a JSON object of texts, such as a queue URL by provider. */
export const jsonMapSchema = jsonSchema(
  z.record(z.string().min(1), z.string().min(1)),
  'must be a JSON object of texts',
);

/** A variable that holds a JSON list of texts. */
export const jsonListSchema = jsonSchema(z.array(z.string().min(1)), 'must be a JSON list of texts');

function jsonSchema<Value>(schema: z.ZodType<Value>, rule: string) {
  return z.string().transform((text, context): Value => {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: rule });
    return z.NEVER;
  });
}

/** A variable that holds a whole number of milliseconds. */
export const msSchema = z
  .string()
  .regex(/^\d{1,9}$/, 'must be a whole number of milliseconds')
  .transform(Number);

/** Addresses of local engines; never set in AWS. */
export const endpointSchema = z.url().optional();
