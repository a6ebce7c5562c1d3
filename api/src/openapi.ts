import { z } from 'zod';
import { ERROR_STATUS, PANAL_ERRORS, type ErrorCode } from './errors.js';
import type { Access, Answer, RouteDescription } from './route.js';
import { routes } from './routes/index.js';

/** The OpenAPI document of the API, as JSON text. */
export const openApiText = (): string => JSON.stringify(describeApi(Object.values(routes)));

/** The OpenAPI 3.1 document of the routes, made from the schemas that check requests. */
export function describeApi(routes: readonly RouteDescription[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const each of routes) {
    const path = each.path.replace(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[each.method.toLowerCase()] = operation(each);
  }
  const shapes = new Set(routes.map(({ errorShape = PANAL_ERRORS }) => errorShape));
  return {
    openapi: '3.1.0',
    info: { title: 'Panal', version: '1', description: 'Functions as a service.' },
    paths,
    components: {
      schemas: Object.fromEntries(
        Array.from(shapes, ({ name, schema }) => [name, jsonSchema(schema, 'output')]),
      ),
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  };
}

const CREDENTIALS = [{ basic: [] }, { bearer: [] }];
/** What a route needs of credentials, by who may use it; the empty choice is none. */
const SECURITY: Readonly<Record<Access, object[]>> = {
  anyone: [],
  owner: [{}, ...CREDENTIALS],
  user: CREDENTIALS,
};

function operation(each: RouteDescription): object {
  const body = each.rawBody ?? (each.body && { type: 'application/json', schema: each.body });
  return {
    operationId:
      each.method.toLowerCase() + each.path.replace(/\W+(\w)?/g, (_, next: string) => next.toUpperCase()),
    summary: each.summary,
    security: SECURITY[each.access ?? 'owner'],
    parameters: [
      ...parameters('path', each.params),
      ...parameters('query', each.query),
      ...Object.entries(each.headers ?? {}).map(([name, description]) => ({
        in: 'header',
        name,
        description,
        schema: { type: 'string' },
      })),
    ],
    ...(body && {
      requestBody: { required: true, content: { [body.type]: { schema: jsonSchema(body.schema, 'input') } } },
    }),
    responses: { ...errorResponses(each), ...mapValues(each.answers, response) },
  };
}

function parameters(place: 'path' | 'query', schema: z.ZodObject | undefined): object[] {
  return Object.entries<z.core.$ZodType>(schema?.shape ?? {}).map(([name, field]) => ({
    in: place,
    name,
    required: place === 'path',
    schema: jsonSchema(field, 'input'),
  }));
}

function response({ description, json, types, headers }: Answer): object {
  const content = json
    ? { 'application/json': { schema: jsonSchema(json, 'output') } }
    : Object.fromEntries((types ?? []).map((type) => [type, {}]));
  return {
    description,
    content,
    ...(headers && {
      headers: mapValues(headers, (text) => ({ description: text, schema: { type: 'string' } })),
    }),
  };
}

function errorResponses(each: RouteDescription): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorCodes(each)) {
    const status = ERROR_STATUS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.join(', '),
        content: {
          'application/json': {
            schema: errorResponse(each, codes),
          },
        },
      },
    ]),
  );
}

/** What an error looks like, and which codes it may have where the shape shows them. */
function errorResponse({ errorShape = PANAL_ERRORS }: RouteDescription, codes: readonly ErrorCode[]): object {
  const shape = { $ref: `#/components/schemas/${errorShape.name}` };
  if (errorShape !== PANAL_ERRORS) return shape;
  return { allOf: [shape], properties: { error: { properties: { code: { enum: codes } } } } };
}

/** Every code that a route may answer with: its own, and what its parameters and body can be refused with. */
export function errorCodes({ method, params, body, access, errors = [] }: RouteDescription): ErrorCode[] {
  // Any query can hold a parameter that does not exist.
  const codes = new Set<ErrorCode>(['INVALID_REQUEST', 'INTERNAL', ...errors]);
  // What a page of another site sends.
  if (method !== 'GET') codes.add('FORBIDDEN');
  if (params) codes.add('INVALID_NAME');
  if (access !== 'anyone') codes.add('UNAUTHORIZED').add('TOO_MANY_ATTEMPTS');
  if (body) {
    for (const code of [
      'INVALID_NAME',
      'BODY_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'REQUEST_ABORTED',
      'QUEUE_FULL',
    ] as const) {
      codes.add(code);
    }
  }
  return [...codes];
}

function jsonSchema(schema: z.core.$ZodType, io: 'input' | 'output'): object {
  const described = z.toJSONSchema(schema, { io });
  // The document says once for all which dialect its schemas are of.
  delete described.$schema;
  return described;
}

const mapValues = <V, R>(record: Readonly<Record<string, V>>, map: (value: V) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
