//! What the macros write, as files that a reviewer reads in the difference: `src/snapshots`.
//!
//! After a change, `INSTA_UPDATE=always cargo test -p farref-macros` writes them anew.

use proc_macro2::TokenStream;
use quote::quote;

use crate::expose;

/// Compares what the macro writes with the file of the test's name.
macro_rules! assert_expansion {
    ($args:expr, $item:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(expand($args, &$item));
        })
    };
}

fn expand(args: TokenStream, item: &TokenStream) -> String {
    let tokens = expose::expose(args, item);
    let file = syn::parse2(tokens).expect("generated code can be parsed");
    prettyplease::unparse(&file)
}

#[test]
fn a_jukebox() {
    assert_expansion!(
        quote!(),
        quote! {
            /// A jukebox that several clients drive at once.
            pub trait Jukebox {
                /// Loads a playlist and returns its number of tracks.
                async fn load_playlist(&self, name: &str, limit: u32) -> Result<u32, MediaError>;

                /// Starts playing. The caller does not wait for it.
                #[oneway]
                async fn play(&self);

                /// Output level, 0.0 to 1.0.
                #[attribute]
                fn volume(&self) -> f32;
            }
        }
    );
}

#[test]
fn arguments_and_results_of_each_kind() {
    assert_expansion!(
        quote!(crate = crate::remote, name = "media.Store"),
        quote! {
            trait Store {
                async fn put(&self, name: String, parts: &[u8], like: &Track, whole: Vec<u8>) -> Vec<u8>;
                fn get(&self) -> io::Result<Bytes>;
                async fn read(&self) -> Result<Bytes, MediaError>;
                #[blocking]
                #[cfg(unix)]
                #[deprecated(note = "use `put`")]
                fn sort(&self);
            }
        }
    );
}

#[test]
fn signals() {
    assert_expansion!(
        quote!(),
        quote! {
            pub trait Player {
                /// Fires after each change of song.
                #[signal]
                fn song_changed(&self) -> &Signal<Track>;

                #[signal]
                fn closing(&self) -> &farref::Signal<(), bool>;
            }
        }
    );
}

#[test]
fn an_interface_that_extends_others() {
    assert_expansion!(
        quote!(),
        quote! {
            pub trait Admin: media::Jukebox + Printer + Debug {
                async fn shut_down(&self) {
                    self.print("bye").await;
                }
            }
        }
    );
}

#[test]
fn objects_that_change_and_stay_on_one_thread() {
    assert_expansion!(
        quote!(local),
        quote! {
            pub trait Counter {
                fn add(&mut self, n: u32) -> u32;
                #[local]
                fn show<T: Debug>(&self, value: T);
            }
        }
    );
}

#[test]
fn what_stands_in_beside_errors() {
    assert_expansion!(
        quote!(),
        quote! {
            pub trait Library {
                async fn find<T>(&self, what: T) -> u32;
                async fn count(&self) -> u32;
            }
        }
    );
}

/// With `crate = ..`, no other path leads to the runtime.
#[test]
fn the_runtime_is_found_by_one_path() {
    let item = quote!(
        pub trait Empty {}
    );
    let written = expand(quote!(crate = crate::remote), &item);
    assert!(written.contains("crate::remote::__private"));
    assert!(!written.contains("::farref"), "{written}");
}
