// What the story has Thunderbird do, by the same services that its windows use. thunderbird_test.go
// appends a call of one of these functions; what they promise goes back as JSON.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const server = () => MailServices.accounts.allServers.find(s => s.type == "imap");

// folder finds a mailbox by its name below the account's root.
function folder(name) {
  const found = server().rootFolder.descendants.find(f => f.name.toLowerCase() == name.toLowerCase());
  if (!found) {
    throw new Error(`no mailbox ${name} among ${server().rootFolder.descendants.map(f => f.name)}`);
  }
  return found;
}

// header finds a message by its subject.
function header(mailbox, subject) {
  const found = [...folder(mailbox).messages].find(h => h.mime2DecodedSubject == subject);
  if (!found) {
    throw new Error(`no ${subject} in ${mailbox}`);
  }
  return found;
}

const failed = (what, status) => new Error(`${what}: 0x${status.toString(16)}`);

// finished gives a listener of a URL or a copy, and a promise that it succeeds.
function finished(what) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const end = status => (Components.isSuccessCode(status) ? resolve() : reject(failed(what, status)));
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl(url, status) { end(status); },
    onStartCopy() {},
    onProgress() {},
    setMessageKey() {},
    getMessageId() { return null; },
    onStopCopy(status) { end(status); },
  };
  return [listener, promise];
}

function trust(certificates) {
  const known = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  for (const certificate of certificates) {
    known.addCertFromBase64(certificate, "C,,");
  }
}

// setUp makes the account, as the dialog for it does once it knows where the server is.
function setUp(host, port, user, password) {
  const made = MailServices.accounts.createIncomingServer(user, host, "imap");
  made.port = port;
  made.socketType = Ci.nsMsgSocketType.SSL;
  made.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  made.password = password;
  const identity = MailServices.accounts.createIdentity();
  identity.email = user;
  identity.fullName = "A Story";
  const account = MailServices.accounts.createAccount();
  account.addIdentity(identity);
  account.incomingServer = made;
  MailServices.accounts.defaultAccount = account;
}

// enter gives the password again, which is not kept.
function enter(password) {
  server().password = password;
}

// sync asks for all mailboxes and what is new in one, as opening it does.
async function sync(name) {
  const [listener, done] = finished(`update ${name}`);
  folder(name).QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener);
  await done;
  return list(name);
}

// getMail is the button of that name.
async function getMail() {
  const [listener, done] = finished("get messages");
  server().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox).getNewMessages(null, listener);
  await done;
}

function folders() {
  return server().rootFolder.descendants.map(f => f.name);
}

// list gives what is known of a mailbox, without asking the server.
function list(name) {
  return [...folder(name).messages].map(h => {
    const flags = [h.isFlagged ? "\\Flagged" : "", h.isRead ? "\\Seen" : ""].filter(f => f);
    return [h.mime2DecodedSubject, ...flags].join(" ");
  });
}

// read gives the text of a message, as it is shown.
async function read(mailbox, subject) {
  const uri = folder(mailbox).getUriForMsg(header(mailbox, subject));
  const { promise, resolve, reject } = Promise.withResolvers();
  let text = "";
  MailServices.messageServiceFromURI(uri).streamMessage(uri, {
    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
    onStartRequest() {},
    onDataAvailable(request, stream, offset, count) {
      const reader = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
      reader.init(stream);
      text += reader.readBytes(count);
    },
    onStopRequest(request, status) {
      Components.isSuccessCode(status) ? resolve(text) : reject(failed("read", status));
    },
  }, null, null, false, "");
  return promise;
}

function mark(mailbox, subject, what) {
  const headers = [header(mailbox, subject)];
  what == "read" ? folder(mailbox).markMessagesRead(headers, true) : folder(mailbox).markMessagesFlagged(headers, true);
}

async function move(mailbox, subject, target, away) {
  const [listener, done] = finished(`move ${subject}`);
  MailServices.copy.copyMessages(folder(mailbox), [header(mailbox, subject)], folder(target), away, listener, null, false);
  await done;
}

async function trash(mailbox, subject) {
  const [listener, done] = finished(`delete ${subject}`);
  folder(mailbox).deleteMessages([header(mailbox, subject)], null, false, false, listener, false);
  await done;
}

function create(name) {
  server().rootFolder.createSubfolder(name, null);
}

async function emptyTrash() {
  const [listener, done] = finished("empty the trash");
  folder("Trash").emptyTrash(listener);
  await done;
}

// search has the server search the bodies of a mailbox.
async function search(mailbox, words) {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(mailbox));
  const term = session.createTerm();
  term.attrib = Ci.nsMsgSearchAttrib.Body;
  term.op = Ci.nsMsgSearchOp.Contains;
  const value = term.value;
  value.attrib = Ci.nsMsgSearchAttrib.Body;
  value.str = words;
  term.value = value;
  session.appendTerm(term);
  const found = [];
  const { promise, resolve, reject } = Promise.withResolvers();
  session.registerListener({
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
    onSearchHit(hit) { found.push(hit.mime2DecodedSubject); },
    onSearchDone(status) { Components.isSuccessCode(status) ? resolve(found) : reject(failed("search", status)); },
    onNewSearch() {},
  });
  session.search(null);
  return promise;
}
