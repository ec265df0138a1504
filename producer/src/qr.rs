//! What a payer scans: an address as a QR code, as SVG and as a PNG in a data URI.
//!
//! It holds the address alone, on Bitcoin with the amount (BIP 21): wallets of other chains disagree
//! about how an amount is written, and a wrong one would be paid.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use payfleet_core::Money;
use payfleet_core::address::Network;
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Serialize;
use utoipa::ToSchema;

/// Empty modules around a code, without which readers do not find it.
const QUIET: i32 = 4;
/// Pixels of a module.
const PIXELS: usize = 8;

/// How a payer is told where to pay.
#[derive(Serialize, ToSchema)]
pub(crate) struct PayBy {
    /// What the code says.
    uri: String,
    /// The code as an SVG document.
    qr_svg: String,
    /// The code as a PNG, in a data URI.
    qr_png: String,
}

impl PayBy {
    /// `None` where the address is too long for a code, which none is.
    pub(crate) fn of(network: Network, address: &str, money: Money) -> Option<Self> {
        let uri = match network {
            Network::Btc => format!("bitcoin:{address}?amount={}", money.amount()),
            Network::Eth | Network::Bsc | Network::Polygon | Network::Tron | Network::Bantu => {
                address.to_owned()
            }
        };
        let code = QrCode::encode_text(&uri, QrCodeEcc::Medium).ok()?;
        let qr_png = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png(&code)?));
        Some(Self { qr_svg: svg(&code), qr_png, uri })
    }
}

/// The dark modules, with those around the code as coordinates of the picture.
fn dark(code: &QrCode) -> impl Iterator<Item = (i32, i32)> + '_ {
    let size = code.size();
    (0..size).flat_map(move |y| (0..size).map(move |x| (x, y))).filter(|(x, y)| code.get_module(*x, *y))
}

fn side(code: &QrCode) -> i32 {
    code.size().saturating_add(QUIET.saturating_mul(2))
}

fn svg(code: &QrCode) -> String {
    let side = side(code);
    let square =
        |(x, y): (i32, i32)| format!("M{} {}h1v1h-1z", x.saturating_add(QUIET), y.saturating_add(QUIET));
    let modules = dark(code).map(square).collect::<Vec<_>>().concat();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path d=\"{modules}\"/></svg>"
    )
}

fn png(code: &QrCode) -> Option<Vec<u8>> {
    let modules = usize::try_from(side(code)).ok()?;
    let width = modules.checked_mul(PIXELS)?;
    let mut pixels = vec![u8::MAX; width.checked_mul(width)?];
    for (x, y) in dark(code) {
        let left = usize::try_from(x.saturating_add(QUIET)).ok()?.checked_mul(PIXELS)?;
        let top = usize::try_from(y.saturating_add(QUIET)).ok()?.checked_mul(PIXELS)?;
        for row in top..top.saturating_add(PIXELS) {
            let from = row.checked_mul(width)?.checked_add(left)?;
            pixels.get_mut(from..from.checked_add(PIXELS)?)?.fill(0);
        }
    }
    let side = u32::try_from(width).ok()?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(network: Network, address: &str, asset: &str) -> PayBy {
        PayBy::of(network, address, Money::parse_positive("0.5", asset.parse().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn the_amount_is_in_the_code_only_where_every_wallet_reads_it_alike() {
        let bitcoin = of(Network::Btc, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "BTC");
        assert_eq!(bitcoin.uri, "bitcoin:bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq?amount=0.5");
        let tron = of(Network::Tron, "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "TRX");
        assert_eq!(tron.uri, "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm");
    }

    #[test]
    fn both_pictures_show_the_same_modules() {
        let tron = of(Network::Tron, "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "TRX");
        let drawn = tron.qr_svg.matches("h1v1h-1z").count();
        let file =
            BASE64_STANDARD.decode(tron.qr_png.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let dark: usize = pixels.iter().map(|pixel| usize::from(*pixel == 0)).sum();
        assert_eq!(dark, drawn * PIXELS * PIXELS);
        assert!(drawn > 200);
    }
}
