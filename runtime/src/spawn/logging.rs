//! What a child process prints for people.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStderr;

use crate::panics;

/// Who gets the lines.
pub(super) type Log = Box<dyn FnMut(&str) + Send>;

/// How many bytes of a line are given at once.
const MAX_LINE: u64 = 8 * 1024;

/// Gives each line to `log`, until the output is closed.
pub(super) async fn forward(output: ChildStderr, mut log: Log, name: String) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if let Err(panic) = panics::contain(|| log(text)) {
            panics::report(&format!("the log of {name}"), &*panic, false);
        }
    }
}
