// Whether somebody was signed in here: the cookie itself is out of a script's reach, and asking the server in vain is an error
// in the browser's log.

const NAME = "signed-in";

export const remember = () => localStorage.setItem(NAME, "1");
export const forget = () => localStorage.removeItem(NAME);
export const isRemembered = () => localStorage.getItem(NAME) !== null;
