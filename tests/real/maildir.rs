//! What a synchronising client keeps on disk: a maildir per folder.

use std::path::{Path, PathBuf};

use crate::support::dovecot::SUPPORT;

pub(crate) struct Maildir {
    directory: PathBuf,
}

impl Maildir {
    /// One that a client makes, or made, there.
    pub(crate) fn at(directory: PathBuf) -> Maildir {
        Maildir { directory }
    }

    /// The files of a folder, by name.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let folder = self.directory.join(folder);
        let files = ["cur", "new"].map(|part| std::fs::read_dir(folder.join(part)).unwrap());
        let mut files: Vec<PathBuf> = files.into_iter().flatten().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The file of the message with this number in its subject.
    pub(crate) fn file(&self, folder: &str, number: u32) -> PathBuf {
        self.file_of(folder, &format!("question {number}"))
    }

    /// The file of the message with this subject.
    pub(crate) fn file_of(&self, folder: &str, subject: &str) -> PathBuf {
        let subject = format!("Subject: {subject}\n");
        let text = |file: &Path| String::from_utf8_lossy(&std::fs::read(file).unwrap()).replace('\r', "");
        self.files(folder).into_iter().find(|file| text(file).contains(&subject)).unwrap()
    }

    /// Gives a message these maildir flags: `FS`.
    pub(crate) fn mark(&self, folder: &str, number: u32, flags: &str) {
        let file = self.file(folder, number);
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let bare = name.split(":2,").next().unwrap();
        let cur = file.parent().unwrap().parent().unwrap().join("cur");
        std::fs::rename(&file, cur.join(format!("{bare}:2,{flags}"))).unwrap();
    }

    /// Puts a message of our own into a folder.
    pub(crate) fn put(&self, folder: &str, flags: &str, subject: &str) {
        let text =
            format!("From: {SUPPORT}\nSubject: {subject}\nMessage-ID: <{subject}@example.org>\n\nbody\n");
        let place = self.directory.join(folder).join("cur");
        std::fs::write(place.join(format!("1.{subject}.host:2,{flags}")), text).unwrap();
    }
}
