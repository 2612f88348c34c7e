//! Types that are stored and sent as the text that they are parsed from and shown as.

/// Implements `TryFrom<String>` and `Into<String>` by `FromStr` and `Display`, for `#[serde(try_from = "String", into =
/// "String")]`.
#[macro_export]
macro_rules! text_form {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = <Self as ::std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}
