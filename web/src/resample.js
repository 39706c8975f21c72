// Crop and resize as utils/photos.py does with Pillow: ImageOps.fit with BILINEAR, a triangle filter as wide as the
// reduction. Browsers scale pictures each in its own way, and the model would see a different picture in each.

/** The middle of a width x height picture with the aspect of the target: {left, top, width, height}, fractions kept. */
export function centreCrop(width, height, target) {
  const aspect = target.width / target.height;
  const cropWidth = Math.min(width, height * aspect);
  const cropHeight = Math.min(height, width / aspect);
  return { left: (width - cropWidth) / 2, top: (height - cropHeight) / 2, width: cropWidth, height: cropHeight };
}

// Pillow computes with weights in whole multiples of 2^-22 and rounds half up (src/libImaging/Resample.c). So does this,
// and the pixels are the same to the last bit.
const ONE = 2 ** 22;
const rounded = (sum) => Math.floor((sum + ONE / 2) / ONE);

/** For each of `size` output pixels, the first input pixel and the weights of the input pixels from there on. */
function taps(size, low, extent, available) {
  const scale = extent / size;
  const support = Math.max(scale, 1);
  return Array.from({ length: size }, (_, i) => {
    const centre = low + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(available, Math.trunc(centre + support + 0.5));
    const weights = Float64Array.from({ length: last - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / support)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => Math.trunc((weight / total) * ONE + 0.5)) };
  });
}

/**
 * RGBA pixels -> Float32Array of 3 x target.height x target.width, whole numbers 0..255, as the model takes them.
 * crop: {left, top, width, height} in pixels of the picture.
 */
export function resample({ data, width, height }, crop, target) {
  const columns = taps(target.width, crop.left, crop.width, width);
  const rows = taps(target.height, crop.top, crop.height, height);
  const narrow = new Uint8Array(height * target.width * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (const { first, weights } of columns) {
      let red = 0, green = 0, blue = 0;
      for (let k = 0, from = (y * width + first) * 4; k < weights.length; k++, from += 4) {
        red += weights[k] * data[from];
        green += weights[k] * data[from + 1];
        blue += weights[k] * data[from + 2];
      }
      narrow[to++] = rounded(red);
      narrow[to++] = rounded(green);
      narrow[to++] = rounded(blue);
    }
  }
  const plane = target.width * target.height;
  const planes = new Float32Array(3 * plane);
  rows.forEach(({ first, weights }, y) => {
    for (let x = 0; x < target.width; x++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++)
          sum += weights[k] * narrow[((first + k) * target.width + x) * 3 + channel];
        planes[channel * plane + y * target.width + x] = rounded(sum);
      }
  });
  return planes;
}
