import CoreML
import ImageIO
import Vision

/// The course's Core ML classifier, asked through Vision. Use it from one queue at a time.
final class PartClassifier {
    struct MissingModel: LocalizedError {
        var errorDescription: String? {
            "This app was built without its model. Run make course, check that exported/TabletopClassifier.mlpackage " +
            "is there, and build the app again."
        }
    }

    /// A largest probability below this means "none of these". Notebook 06 chooses it and writes it into the model.
    let threshold: Double

    private let temperature: Double
    private let request: VNCoreMLRequest

    init() throws {
        // Xcode compiles the .mlpackage into an .mlmodelc and puts that into the app.
        guard let url = Bundle.main.url(forResource: "TabletopClassifier", withExtension: "mlmodelc") else {
            throw MissingModel()
        }
        let configuration = MLModelConfiguration()
        configuration.computeUnits = .all // the Neural Engine where there is one
        let model = try MLModel(contentsOf: url, configuration: configuration)

        let written = model.modelDescription.metadata[.creatorDefinedKey] as? [String: String] ?? [:]
        threshold = written["threshold"].flatMap(Double.init) ?? 0.5 // utils/evaluate.py has the same default
        temperature = written["temperature"].flatMap(Double.init) ?? 1

        request = VNCoreMLRequest(model: try VNCoreMLModel(for: model))
        // The course trains and tests on the middle square. .scaleFill would squeeze the wide frame, and .scaleFit
        // would put bars beside it: pictures of a kind that the model has never seen.
        request.imageCropAndScaleOption = .centerCrop
    }

    /// The probability of each class, as the model gives it.
    ///
    /// - Parameter orientation: how the frame has to be turned to be upright; the pixels stay as they are, Vision turns
    ///   what it hands to the model.
    func probabilities(in frame: CVPixelBuffer, orientation: CGImagePropertyOrientation) throws -> [String: Double] {
        try VNImageRequestHandler(cvPixelBuffer: frame, orientation: orientation).perform([request])
        let found = request.results as? [VNClassificationObservation] ?? []
        return Dictionary(found.map { ($0.identifier, Double($0.confidence)) }, uniquingKeysWith: { first, _ in first })
    }

    /// Probabilities with the temperature of notebook 06, for the threshold and the person who reads them.
    func calibrated(_ probabilities: [String: Double]) -> [String: Double] {
        // Another softmax temperature T is p^(1/T), scaled so that the sum is 1 again.
        let powers = probabilities.mapValues { pow($0, 1 / temperature) }
        let total = powers.values.reduce(0, +)
        return powers.mapValues { total > 0 ? $0 / total : 0 }
    }
}
