export { eventually } from '../../testkit/wait.js';
