// What a person does in Thunderbird, through its own front end: `acts`, called from
// thunderbird.rs. Each act waits for Thunderbird to be done with it.
/* globals Cc, ChromeUtils, Ci, Services */

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const window = Services.wm.getMostRecentWindow("mail:3pane");
const pane = () => window.document.getElementById("tabmail").currentAbout3Pane;
const account = () => MailServices.accounts.accounts.find(one => one.incomingServer.type == "imap");
const server = () => account().incomingServer;
const imapFolder = folder => folder.QueryInterface(Ci.nsIMsgImapMailFolder);
// What Thunderbird has shown, and nobody has asked for yet.
const shown = (window.shown ??= []);
// Dialogs that are open.
const dialogs = (window.dialogs ??= new Set());

/** Asks until `probe` answers; Thunderbird tells of few things when they are done. */
async function until(what, probe, patience = 30) {
  for (const end = Date.now() + patience * 1000; Date.now() < end; ) {
    const answer = await probe();
    if (answer) {
      return answer;
    }
    await new Promise(resolve => window.setTimeout(resolve, 20));
  }
  throw new Error(`waited ${patience} s in vain: ${what}; shown ${shown.length}: ${JSON.stringify(shown.slice(0, 4))}`);
}

/** A folder by the name that the server gives it. */
const named = name => server().rootFolder.descendants.find(folder => imapFolder(folder).onlineName == name);

const message = (folder, subject) =>
  [...folder.messages].find(header => header.mime2DecodedSubject == subject);

/** Opens a folder as a click does, and asks the server for news. */
async function display(name) {
  const folder = await until(`folder ${name}`, () => named(name));
  pane().displayFolder(folder.URI);
  await until(`${name} is displayed`, () => pane().gDBView?.viewFolder == folder);
  await update(folder);
  return folder;
}

/** Asks for what is new, when no connection has anything to do: a busy folder never says it is done. */
async function update(folder) {
  await rest();
  return new Promise(resolve =>
    imapFolder(folder).updateFolderWithListener(window.msgWindow, {
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (_url, status) => resolve(status),
    })
  );
}

const rest = () =>
  until("rest", () => !dialogs.size && server().QueryInterface(Ci.nsIImapIncomingServer).allConnectionsIdle);

/** Selects a message, which displays it. */
async function select(name, subject) {
  const folder = await display(name);
  const header = await until(`${subject} in ${name}`, () => message(folder, subject));
  const index = await until(`${subject} in the list`, () => {
    const found = pane().gDBView?.findIndexOfMsgHdr(header, true);
    return found != undefined && found != 0xffffffff && [found];
  });
  const reader = pane().messageBrowser;
  pane().threadTree.selectedIndex = index[0];
  await until(`${subject} is on the screen`, () => {
    const about = reader.contentWindow;
    return about.gMessage?.messageKey == header.messageKey && about.msgLoaded;
  });
  return header;
}

const can = command => pane().commandController.isCommandEnabled(command);
const press = command => pane().commandController.doCommand(command);

/** The window that `open` opens to write in, ready to be written in. */
async function compose(open) {
  const opened = new Promise(resolve => {
    const watcher = {
      observe(subject, topic) {
        if (topic == "domwindowopened") {
          subject.addEventListener("compose-editor-ready", () => {
            Services.ww.unregisterNotification(watcher);
            resolve(subject);
          }, { once: true });
        }
      },
    };
    Services.ww.registerNotification(watcher);
  });
  open();
  return opened;
}

/** Presses Send, and says whether the window went away. */
async function send(writer) {
  const before = shown.length;
  writer.goDoCommand("cmd_sendNow");
  await until("it is sent or refused", () =>
    writer.closed || (shown.length > before && !dialogs.size && !writer.gSendOperationInProgress));
  return writer.closed ? "sent" : "not sent, the window stays";
}

/** The window with an answer to a message. */
async function answer(folder, subject, text) {
  await select(folder, subject);
  const writer = await compose(() => press("cmd_replySender"));
  writer.GetCurrentEditor().insertText(text);
  return writer;
}

/** Closes a window without the question what should become of the text. */
function dismiss(writer) {
  writer.gContentChanged = false;
  writer.close();
}

const acts = {
  /** An account of a new profile: `at` is where the mailbox is, "" or "Shared/support/". */
  async account({ imap, smtp, login, password, address, at }) {
    MailServices.mailSession.addUserFeedbackListener({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgUserFeedbackListener"]),
      onAlert(text, _url, silent) {
        shown.push({ what: silent ? "activity" : "alert", text });
        return true;
      },
      onCertError() {
        shown.push({ what: "certificate" });
      },
    });
    // A dialog: a careful person presses the second button if there is one.
    Services.obs.addObserver(dialog => {
      const { args, numButtons, ui } = dialog.Dialog;
      shown.push({ what: "dialog", text: args.text });
      dialogs.add(dialog);
      dialog.addEventListener("unload", () => dialogs.delete(dialog));
      // The window behind a dialog has no timers meanwhile.
      dialog.setTimeout(() => (numButtons > 1 ? ui.button1 : ui.button0).click());
    }, "common-dialog-loaded");
    for (const scheme of ["imap", "smtp"]) {
      const info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
      info.init(`${scheme}://localhost`, null, `${scheme}://localhost`, login, password, "", "");
      await Services.logins.addLoginAsync(info);
    }
    const incoming = MailServices.accounts.createIncomingServer(login, "localhost", "imap");
    const outgoing = MailServices.outgoingServer.createServer("smtp");
    for (const [one, port] of [[incoming, imap], [outgoing.QueryInterface(Ci.nsISmtpServer), smtp]]) {
      one.port = port;
      one.socketType = Ci.nsMsgSocketType.SSL;
      one.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    }
    outgoing.hostname = "localhost";
    outgoing.username = login;
    MailServices.outgoingServer.defaultServer = outgoing;
    const identity = MailServices.accounts.createIdentity();
    identity.email = address;
    identity.fullName = "Support";
    identity.smtpServerKey = outgoing.key;
    identity.composeHtml = false;
    MailServices.accounts.createLocalMailAccount();
    const made = MailServices.accounts.createAccount();
    made.addIdentity(identity);
    made.incomingServer = incoming;
    MailServices.accounts.defaultAccount = made;
    if (at) {
      // As docs/views.md says: chosen under Copies & Folders.
      const uri = name => `${incoming.serverURI}/${at}${name}`;
      [identity.fccFolderURI, identity.fccFolderPickerMode] = [uri("Sent"), "1"];
      [identity.draftsFolderURI, identity.draftsFolderPickerMode] = [uri("Drafts"), "1"];
      [identity.archivesFolderURI, identity.archivesFolderPickerMode] = [uri("Archive"), "1"];
    }
  },

  /** The folders, when all of these are there. */
  async folders(wanted) {
    // The first look into the inbox asks for the folders too.
    await update(await until("an inbox", () => named("INBOX")));
    await until("the folders", () => wanted.every(named));
    return server().rootFolder.descendants.map(folder => imapFolder(folder).onlineName).sort();
  },

  /** Opens a message, which marks it as read; its text. */
  async open(folder, subject) {
    const header = await select(folder, subject);
    const about = pane().messageBrowser.contentWindow;
    await until("it is read", () => header.isRead);
    return about.getMessagePaneBrowser().contentDocument.body.textContent;
  },

  async flag(may, folder, subject) {
    const header = await select(folder, subject);
    press("cmd_markAsFlagged");
    await until(`flagged: ${may}`, async () => {
      await update(header.folder);
      return header.isFlagged == may;
    });
    return may ? "flagged" : "not flagged";
  },

  /** Searches on the server. */
  async search(folder, words) {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, named(folder));
    const term = session.createTerm();
    const value = term.value;
    value.attrib = Ci.nsMsgSearchAttrib.Body;
    value.str = words;
    term.value = value;
    term.attrib = Ci.nsMsgSearchAttrib.Body;
    term.op = Ci.nsMsgSearchOp.Contains;
    session.appendTerm(term);
    const hits = [];
    await new Promise(resolve => {
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
        onSearchHit: header => hits.push(header.mime2DecodedSubject),
        onSearchDone: resolve,
        onNewSearch() {},
      });
      session.search(window.msgWindow);
    });
    return hits;
  },

  /** Answers, and presses Send so often as long as the window stays. */
  async reply(folder, subject, text, times) {
    const writer = await answer(folder, subject, text);
    const outcomes = [];
    while (outcomes.length < times && !writer.closed) {
      outcomes.push(await send(writer));
    }
    if (!writer.closed) {
      dismiss(writer);
    }
    return outcomes;
  },

  /** Answers by *Send Later*, and sends what waits as often; how many still wait each time. */
  async later(folder, subject, text, times) {
    const writer = await answer(folder, subject, text);
    writer.goDoCommand("cmd_sendLater");
    await until("it is put aside", () => writer.closed);
    const queue = Cc["@mozilla.org/messengercompose/sendlater;1"].getService(Ci.nsIMsgSendLater);
    const waiting = [];
    for (let time = 0; time < times; time++) {
      const before = shown.length;
      await new Promise(resolve => {
        const listener = {
          QueryInterface: ChromeUtils.generateQI(["nsIMsgSendLaterListener"]),
          onStartSending() {},
          onMessageStartSending() {},
          onMessageSendProgress() {},
          onMessageSendError() {},
          onStopSending() {
            queue.removeListener(listener);
            resolve();
          },
        };
        queue.addListener(listener);
        queue.sendUnsentMessages(account().defaultIdentity);
      });
      const left = queue.getUnsentMessagesFolder(account().defaultIdentity).getTotalMessages(false);
      waiting.push(left);
      if (left) {
        await until("a word why not", () => shown.length > before && !dialogs.size);
      }
    }
    return waiting;
  },

  /** Writes a draft and saves it as often as there are texts. */
  async draft(may, drafts, subject, texts) {
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { to: "customer@example.net", subject });
    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    Object.assign(params, {
      composeFields: fields,
      type: Ci.nsIMsgCompType.New,
      format: Ci.nsIMsgCompFormat.PlainText,
      identity: account().defaultIdentity,
    });
    const writer = await compose(() => MailServices.compose.OpenComposeWindowWithParams(null, params));
    for (const text of texts) {
      writer.GetCurrentEditor().insertText(text);
      writer.goDoCommand("cmd_saveAsDraft");
      await until("saving begins", () => writer.gSaveOperationInProgress);
      await until("saving ends", () => !writer.gSaveOperationInProgress);
      await update(named(drafts));
    }
    const count = () =>
      [...named(drafts).messages].filter(header => header.mime2DecodedSubject == subject).length;
    await until("one draft if any", async () => {
      await update(named(drafts));
      return count() == (may ? 1 : 0);
    });
    dismiss(writer);
    return may ? "one draft" : "not saved, the window stays";
  },

  /** Delete, archive or junk, by the name of the command. */
  async remove(command, may, folder, subject, other) {
    const header = await select(folder, subject);
    if (!can(command)) {
      return "greyed out";
    }
    const before = shown.length;
    press(command);
    if (may) {
      await until("it goes", () => !message(header.folder, subject));
      await update(named(folder));
      return "done";
    }
    await until("a word why not", () => shown.length > before);
    // It may have gone from the list before the answer came.
    await until("it is there when the folder is opened again", async () => {
      await display(other);
      return message(await display(folder), subject);
    });
    return "not done";
  },

  /** What was shown since the last time, when no connection has anything to do. */
  async told() {
    await rest();
    return shown.splice(0);
  },
};
