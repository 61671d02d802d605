// What is sent to the server, and how the toggles change a setting.

/** Settings that run or load something: the user's alone, whatever an editor merges into its answer. */
export const USERS_ALONE = ["run_examples"];

/**
 * What the server starts with: the merged settings, with the user's own value of what is the user's alone.
 *
 * @param {Record<string, unknown>} merged
 * @param {(name: string) => unknown} ofUser The value in the user's own (machine) settings, undefined when unset.
 * @returns {Record<string, unknown>}
 */
export function initializationOptions(merged, ofUser) {
  const options = { ...merged };
  for (const name of USERS_ALONE) {
    delete options[name];
    const value = ofUser(name);
    if (value !== undefined) {
      options[name] = value;
    }
  }
  return options;
}

/**
 * The list with the entry where it was absent, without it where it was there.
 *
 * @param {readonly string[]} list
 * @param {string} entry
 * @returns {string[]}
 */
export function toggled(list, entry) {
  return list.includes(entry) ? list.filter((each) => each !== entry) : [...list, entry];
}
