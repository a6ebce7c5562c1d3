/**
 * A function of Panal: called with the parameters of each call.
 *
 * What it returns is the result: a text as it is, anything else as JSON. What it logs goes to the call's logs.
 * `context` has the call itself: callNum, functionName, version, deadline, attempt.
 */
export default async function handler(params, context) {
  const name = params?.name ?? 'world';
  console.log(`call ${context.callNum} greets ${name}`);
  return { greeting: `Hello, ${name}!` };
}
