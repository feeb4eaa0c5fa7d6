//! The public value types: `Codec`, `CodecSet`, `Budget`.

use crate::codec::{Budget, Codec, CodecError, CodecSet};

#[test]
fn a_codec_is_found_by_its_number_and_its_name() {
    for codec in Codec::ALL {
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
        assert_eq!(codec.to_string().parse(), Ok(codec));
    }
    assert_eq!(Codec::from_id(0), None);
    assert_eq!(
        "xml".parse::<Codec>(),
        Err(CodecError::UnknownName("xml".into()))
    );
}

#[test]
fn a_set_round_trips_through_bits_and_text() {
    for bits in 0..16_u32 {
        let set = CodecSet::from(bits);
        assert_eq!(u32::from(set), bits & 0b1110, "only known codecs stay");
        assert_eq!(set.to_string().parse(), Ok(set));
        assert_eq!(set.iter().collect::<CodecSet>(), set);
    }
}

#[test]
fn a_set_is_a_set() {
    let mut set = CodecSet::EMPTY;
    assert!(set.is_empty());
    assert!(set.insert(Codec::Json));
    assert!(!set.insert(Codec::Json));
    assert!(set.contains(Codec::Json) && !set.contains(Codec::Postcard));
    assert_eq!(format!("{set:?}"), "{Json}");
    assert_eq!(
        set.intersection(CodecSet::from(Codec::Postcard)),
        CodecSet::EMPTY
    );
    assert!(set.remove(Codec::Json) && !set.remove(Codec::Json));
    assert_eq!(
        " postcard , json "
            .parse::<CodecSet>()
            .map(|set| set.to_string()),
        Ok("postcard,json".into())
    );
    assert!("postcard,".parse::<CodecSet>().is_err());
}

#[test]
fn the_default_set_is_what_this_build_can_use() {
    assert!(CodecSet::default().contains(Codec::Postcard));
    for codec in Codec::ALL {
        assert_eq!(CodecSet::default().contains(codec), codec.is_available());
    }
}

#[test]
fn the_default_budget_is_the_documented_one() {
    assert_eq!(
        Budget::default(),
        Budget::new().with_depth(64).with_elements(1_000_000)
    );
}
