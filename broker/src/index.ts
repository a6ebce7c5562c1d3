export { startBroker, type RunningBroker } from './broker.js';
