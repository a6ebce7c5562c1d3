import { callRoutes } from './calls.js';
import { functionRoutes } from './functions.js';
import { gatewayRoutes } from './gateway.js';
import { invocationRoutes } from './invocations.js';
import { operatingRoutes } from './operating.js';
import { runtimeRoutes } from './runtimes.js';
import { userRoutes } from './users.js';

/** Every route of the API, by a name of its own. */
export const routes = {
  ...invocationRoutes,
  ...callRoutes,
  ...functionRoutes,
  ...runtimeRoutes,
  ...userRoutes,
  ...gatewayRoutes,
  ...operatingRoutes,
};

export { logEvents } from './calls.js';
export { functionSchema, versionSchema, type FunctionView, type VersionView } from './functions.js';
export { workerSchema, type WorkerView } from './operating.js';
export {
  runtimeRegistrationSchema,
  runtimeSchema,
  type RuntimeRegistration,
  type RuntimeView,
} from './runtimes.js';
export { tokenSchema, userSchema, type IssuedToken, type UserView } from './users.js';
