import ARKit
import AVFoundation
import RealityKit
import UIKit

/// Runs the AR session and asks the classifier about its frames. Lives on the main thread; only the classifier does not.
final class Recognizer: NSObject, ObservableObject {
    enum State: Equatable {
        case starting
        case running
        case cameraDenied
        case failed(String)
    }

    struct Answer: Equatable {
        /// nil: none of these.
        let label: String?
        let probability: Double
        let milliseconds: Double
    }

    @Published private(set) var state = State.starting
    @Published private(set) var answer: Answer?
    @Published private(set) var labelCount = 0

    let arView = ARView(frame: .zero)

    private static let secondsBetweenFrames = 0.1
    private static let framesInMean = 8 // the page in web/ takes the mean over as many

    private let classifierQueue = DispatchQueue(label: "classifier", qos: .userInitiated)
    private lazy var labels = LabelPlacer(arView: arView)
    private var classifier: PartClassifier?
    private var isLoading = false
    private var isClassifying = false
    private var lastFrameTime: TimeInterval = 0
    private var recent: [[String: Double]] = []

    // MARK: - Starting

    func start() {
        guard ARWorldTrackingConfiguration.isSupported else {
            state = .failed("This device has no camera that ARKit can use. Run the app on an iPhone, not in the simulator.")
            return
        }
        AVCaptureDevice.requestAccess(for: .video) { allowed in
            DispatchQueue.main.async {
                if allowed {
                    self.loadModel()
                } else {
                    self.state = .cameraDenied
                }
            }
        }
    }

    func stop() {
        arView.session.pause()
    }

    func removeLabels() {
        labels.removeAll()
        labelCount = 0
    }

    private func loadModel() {
        if classifier != nil {
            runSession()
            return
        }
        guard !isLoading else { return }
        isLoading = true
        classifierQueue.async {
            let loaded = Result { try PartClassifier() }
            DispatchQueue.main.async {
                self.isLoading = false
                switch loaded {
                case .success(let classifier):
                    self.classifier = classifier
                    self.runSession()
                case .failure(let error):
                    self.state = .failed(error.localizedDescription)
                }
            }
        }
    }

    private func runSession() {
        let configuration = ARWorldTrackingConfiguration()
        configuration.planeDetection = [.horizontal]
        arView.session.delegate = self
        arView.session.run(configuration)
        state = .running
    }

    // MARK: - Asking

    /// Hands one frame to the classifier, unless it is busy or its turn has not come: such frames are dropped. Waiting
    /// frames would make answers late, and ARKit, which has few buffers to lend, would stop delivering.
    private func classify(_ frame: ARFrame) {
        guard let classifier, !isClassifying, frame.timestamp - lastFrameTime >= Self.secondsBetweenFrames else { return }
        isClassifying = true
        lastFrameTime = frame.timestamp
        let pixels = frame.capturedImage // only the pixels: a frame that is kept holds on to all of its buffers
        let orientation = frameOrientation
        classifierQueue.async {
            let started = CACurrentMediaTime()
            let result = Result { try classifier.probabilities(in: pixels, orientation: orientation) }
            let milliseconds = 1000 * (CACurrentMediaTime() - started)
            DispatchQueue.main.async {
                self.isClassifying = false
                switch result {
                case .success(let probabilities):
                    self.take(probabilities, milliseconds: milliseconds, classifier: classifier)
                case .failure(let error):
                    self.state = .failed("The model cannot answer: \(error.localizedDescription)")
                }
            }
        }
    }

    /// The camera's sensor lies sideways in the phone: how a frame has to be turned depends on how the phone is held.
    private var frameOrientation: CGImagePropertyOrientation {
        switch arView.window?.windowScene?.interfaceOrientation {
        case .landscapeRight: return .up
        case .landscapeLeft: return .down
        case .portraitUpsideDown: return .left
        default: return .right
        }
    }

    private func take(_ probabilities: [String: Double], milliseconds: Double, classifier: PartClassifier) {
        recent = Array((recent + [probabilities]).suffix(Self.framesInMean))
        let sums = recent.reduce(into: [String: Double]()) { sums, each in
            sums.merge(each, uniquingKeysWith: +)
        }
        // First the mean, then the temperature: a temperature below 1 would let one sure frame outvote the others.
        let mean = classifier.calibrated(sums.mapValues { $0 / Double(recent.count) })
        guard let top = mean.max(by: { $0.value < $1.value }) else { return }
        let label = top.value >= classifier.threshold ? top.key : nil
        announce(label)
        answer = Answer(label: label, probability: top.value, milliseconds: milliseconds)
        if let label, recent.count == Self.framesInMean {
            labels.place(label)
            labelCount = labels.count
        }
    }

    private func announce(_ label: String?) {
        guard answer == nil || answer?.label != label else { return }
        UIAccessibility.post(notification: .announcement, argument: label.map(readable) ?? "None of these")
    }
}

extension Recognizer: ARSessionDelegate {
    func session(_ session: ARSession, didUpdate frame: ARFrame) {
        labels.turn(towards: frame.camera.transform)
        classify(frame)
    }

    func session(_ session: ARSession, didFailWithError error: Error) {
        if (error as? ARError)?.code == .cameraUnauthorized {
            state = .cameraDenied
        } else {
            state = .failed("The AR session stopped: \(error.localizedDescription)")
        }
    }

    func sessionWasInterrupted(_ session: ARSession) {
        recent = [] // what was seen before a call says nothing about what is seen after it
        answer = nil
    }
}

/// A class label as words: `stepper_motor` is "stepper motor".
func readable(_ label: String) -> String {
    label.replacingOccurrences(of: "_", with: " ")
}
